"""Trained networks with everything needed to use them: saved, loaded, and exchanged with other libraries."""

from .averaging import average as average
from .calling import file_rows as file_rows, input_rows as input_rows
from .description import described as described
from .export import about_torch as about_torch, save_npz as save_npz, save_torch as save_torch, to_torch as to_torch
from .file import load_model as load_model, replace_file as replace_file, save_model as save_model
from .from_torch import load_torch as load_torch
from .model import Answer as Answer, Model as Model, TrainingData as TrainingData
from .prediction import Estimate as Estimate, Failure as Failure, Prediction as Prediction
from .to_onnx import about_onnx as about_onnx, check_onnx as check_onnx, save_onnx as save_onnx
