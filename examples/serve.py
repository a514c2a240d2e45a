"""A trained model over HTTP: an image in, its class and the probabilities of all classes out.

    pip install '.[photos,serve]'
    jaxnet train photos --out cats
    python examples/serve.py cats 8000 --host 0.0.0.0
    curl -F image=@photo.jpg http://127.0.0.1:8000/predict

The last command prints {"label":"cat","probabilities":{"cat":0.93,"dog":0.07}}, with the figures of `jaxnet predict`.
What is not an image is answered by status 415 and a line that says so.
"""

import argparse

import uvicorn
from fastapi import FastAPI, HTTPException, UploadFile
from PIL import Image

import jaxnet


def app_of(model: jaxnet.Model) -> FastAPI:
    app = FastAPI()

    @app.post("/predict")
    def predict(image: UploadFile) -> dict:
        try:  # with a list of formats, as Pillow knows some that run other programs
            return model(Image.open(image.file, formats=("JPEG", "PNG", "WEBP")))._asdict()
        except (OSError, jaxnet.InputError, Image.DecompressionBombError) as error:
            detail = f"{image.filename} cannot be read as an image; expected a JPEG, PNG or WebP file"
            raise HTTPException(415, detail) from error

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a model.safetensors, or the run's folder")
    parser.add_argument("port", type=int, nargs="?", default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 answers other machines too")
    options = parser.parse_args()
    try:
        model = jaxnet.load_model(options.model)
    except jaxnet.InputError as error:
        parser.error(str(error))
    uvicorn.run(app_of(model), host=options.host, port=options.port)
