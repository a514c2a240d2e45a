"""Training code as people write it, each with a slip to plant: text, what stands there instead, where it shows."""

LISTS = '''
import numpy as np

class Network(object):
    """Lists of arrays, examples in columns, after Nielsen's book."""

    def __init__(self, sizes):
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.biases = [np.random.randn(y, 1) for y in sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in zip(sizes[:-1], sizes[1:])]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def update_mini_batch(self, x, y, eta):
        nabla_b, nabla_w = self.backprop(x, y)
        n = x.shape[1]
        self.weights = [w - eta / n * nw for w, nw in zip(self.weights, nabla_w)]
        self.biases = [b - eta / n * nb for b, nb in zip(self.biases, nabla_b)]

    def backprop(self, x, y):
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        activation, activations, zs = x, [x], []
        for b, w in zip(self.biases, self.weights):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = (activations[-1] - y) * sigmoid_prime(zs[-1])
        nabla_b[-1] = delta.sum(axis=1, keepdims=True)
        nabla_w[-1] = np.dot(delta, activations[-2].T)
        for l in range(2, self.num_layers):
            z = zs[-l]
            delta = np.dot(self.weights[-l + 1].T, delta) * sigmoid_prime(z)
            nabla_b[-l] = delta.sum(axis=1, keepdims=True)
            nabla_w[-l] = np.dot(delta, activations[-l - 1].T)
        return nabla_b, nabla_w

def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))

def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))
'''

TWO_LAYERS = """
import numpy as np

class NeuralNetwork:
    def __init__(self, x, y):
        self.input = x
        self.weights1 = np.random.rand(self.input.shape[1], 4)
        self.weights2 = np.random.rand(4, 1)
        self.y = y
        self.output = np.zeros(self.y.shape)

    def feedforward(self):
        self.layer1 = sigmoid(np.dot(self.input, self.weights1))
        self.output = sigmoid(np.dot(self.layer1, self.weights2))

    def backprop(self):
        d = 2 * (self.y - self.output) * sigmoid_derivative(self.output)
        d_weights2 = np.dot(self.layer1.T, d)
        d_weights1 = np.dot(self.input.T, np.dot(d, self.weights2.T) * sigmoid_derivative(self.layer1))
        self.weights1 += d_weights1
        self.weights2 += d_weights2

def sigmoid(x):
    return 1.0 / (1 + np.exp(-x))

def sigmoid_derivative(x):
    return x * (1.0 - x)

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])
nn = NeuralNetwork(X, y)
for i in range(20):
    nn.feedforward()
    nn.backprop()
"""

PLANAR = """
import numpy as np
from planar_utils import plot_decision_boundary, sigmoid, load_planar_dataset
from testCases_v2 import *

def layer_sizes(X, Y):
    return X.shape[0], 4, Y.shape[0]

def initialize_parameters(n_x, n_h, n_y):
    np.random.seed(2)
    return {"W1": np.random.randn(n_h, n_x), "b1": np.zeros((n_h, 1)),
            "W2": np.random.randn(n_y, n_h), "b2": np.zeros((n_y, 1))}

def forward_propagation(X, parameters):
    W1, b1, W2, b2 = (parameters[k] for k in ("W1", "b1", "W2", "b2"))
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = sigmoid(Z2)
    cache = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}
    return A2, cache

def backward_propagation(parameters, cache, X, Y):
    m = X.shape[1]
    dZ2 = cache["A2"] - Y
    dW2 = np.dot(dZ2, cache["A1"].T) / m
    db2 = np.sum(dZ2, axis=1, keepdims=True) / m
    dZ1 = np.dot(parameters["W2"].T, dZ2) * (1 - np.power(cache["A1"], 2))
    dW1 = np.dot(dZ1, X.T) / m
    db1 = np.sum(dZ1, axis=1, keepdims=True) / m
    grads = {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}
    return grads

def update_params(parameters, grads, learning_rate=1.2):
    return {k: parameters[k] - learning_rate * grads["d" + k] for k in parameters}
"""

MLP = '''
import numpy as np

class MLP:
    """One hidden layer, examples in rows, softmax."""

    def __init__(self, input_size, hidden_size, output_size, learning_rate=0.1):
        self.W1 = np.random.randn(input_size, hidden_size) * 0.5
        self.b1 = np.zeros((1, hidden_size))
        self.W2 = np.random.randn(hidden_size, output_size) * 0.5
        self.b2 = np.zeros((1, output_size))
        self.learning_rate = learning_rate

    def forward(self, X):
        self.Z1 = X @ self.W1 + self.b1
        self.A1 = np.maximum(0, self.Z1)
        self.Z2 = self.A1 @ self.W2 + self.b2
        exp = np.exp(self.Z2 - self.Z2.max(axis=1, keepdims=True))
        self.A2 = exp / exp.sum(axis=1, keepdims=True)
        return self.A2

    def backward(self, X, y):
        m = X.shape[0]
        dZ2 = self.A2.copy()
        dZ2[np.arange(m), y] -= 1
        self.dW2 = self.A1.T @ dZ2 / m
        self.db2 = dZ2.sum(axis=0, keepdims=True) / m
        dZ1 = (dZ2 @ self.W2.T) * (self.Z1 > 0)
        self.dW1 = X.T @ dZ1 / m
        self.db1 = dZ1.sum(axis=0, keepdims=True) / m

    def update(self):
        self.W1 -= self.learning_rate * self.dW1
        self.b1 -= self.learning_rate * self.db1
        self.W2 -= self.learning_rate * self.dW2
        self.b2 -= self.learning_rate * self.db2

    def fit(self, X, y, epochs=1000):
        for epoch in range(epochs):
            self.forward(X)
            self.backward(X, y)
            self.update()
'''

LOGISTIC = """
import numpy as np

class LogisticRegression:
    def __init__(self, lr=0.01, n_iters=1000):
        self.lr = lr
        self.n_iters = n_iters
        self.weights = None
        self.bias = None

    def fit(self, X, y):
        n_samples, n_features = X.shape
        if self.weights is None:
            self.weights = np.zeros(n_features)
            self.bias = 0
        for _ in range(self.n_iters):
            y_pred = 1 / (1 + np.exp(-(np.dot(X, self.weights) + self.bias)))
            dw = (1 / n_samples) * np.dot(X.T, (y_pred - y))
            db = (1 / n_samples) * np.sum(y_pred - y)
            self.weights -= self.lr * dw
            self.bias -= self.lr * db
"""

SYNAPSES = """
import numpy as np

def nonlin(x, deriv=False):
    if deriv:
        return x * (1 - x)
    return 1 / (1 + np.exp(-x))

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
y = np.array([[0], [1], [1], [0]])
np.random.seed(1)
syn0 = 2 * np.random.random((3, 4)) - 1
syn1 = 2 * np.random.random((4, 1)) - 1

for j in range(60):
    l0 = X
    l1 = nonlin(np.dot(l0, syn0))
    l2 = nonlin(np.dot(l1, syn1))
    l2_error = y - l2
    if (j % 10) == 0:
        print("Error:" + str(np.mean(np.abs(l2_error))))
    l2_delta = l2_error * nonlin(l2, deriv=True)
    l1_error = l2_delta.dot(syn1.T)
    l1_delta = l1_error * nonlin(l1, deriv=True)
    syn1 += l1.T.dot(l2_delta)
    syn0 += l0.T.dot(l1_delta)
"""

DIGITS = """
import numpy as np

def init_params():
    W1 = np.random.rand(4, 3) - 0.5
    b1 = np.random.rand(4, 1) - 0.5
    W2 = np.random.rand(2, 4) - 0.5
    b2 = np.random.rand(2, 1) - 0.5
    return W1, b1, W2, b2

def softmax(Z):
    return np.exp(Z) / sum(np.exp(Z))

def forward_prop(W1, b1, W2, b2, X):
    Z1 = W1.dot(X) + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2.dot(A1) + b2
    A2 = softmax(Z2)
    return Z1, A1, Z2, A2

def backward_prop(Z1, A1, Z2, A2, W1, W2, X, Y):
    m = X.shape[1]
    dZ2 = A2 - Y
    dW2 = 1 / m * dZ2.dot(A1.T)
    db2 = 1 / m * np.sum(dZ2, 1, keepdims=True)
    dZ1 = W2.T.dot(dZ2) * (Z1 > 0)
    dW1 = 1 / m * dZ1.dot(X.T)
    db1 = 1 / m * np.sum(dZ1, 1, keepdims=True)
    return dW1, db1, dW2, db2

def update_params(W1, b1, W2, b2, dW1, db1, dW2, db2, alpha):
    W1 = W1 - alpha * dW1
    b1 = b1 - alpha * db1
    W2 = W2 - alpha * dW2
    b2 = b2 - alpha * db2
    return W1, b1, W2, b2
"""

GLOBALS = """
import numpy as np

rng = np.random.default_rng(3)
X_train = rng.normal(size=(20, 2))
y_train = rng.normal(size=(20, 1))
W1, b1 = rng.normal(size=(2, 5)), np.zeros(5)
W2, b2 = rng.normal(size=(5, 1)), np.zeros(1)

def train_step(x, y, lr=0.05):
    global W1, b1, W2, b2
    h = np.tanh(x @ W1 + b1)
    out = h @ W2 + b2
    d_out = 2 * (out - y) / len(x)
    d_h = d_out @ W2.T * (1 - h ** 2)
    W2 = W2 - lr * h.T @ d_out
    b2 = b2 - lr * d_out.sum(axis=0)
    W1 = W1 - lr * x.T @ d_h
    b1 = b1 - lr * d_h.sum(axis=0)
    return float(((out - y) ** 2).mean())

for epoch in range(30):
    train_step(X_train, y_train)
"""

LAYERS = """
import numpy as np

class Layer:
    def __init__(self, n_in, n_out):
        self.W = np.random.randn(n_in, n_out) * 0.5
        self.b = np.random.randn(1, n_out) * 0.5

    def forward(self, x):
        self.x = x
        self.a = np.tanh(x @ self.W + self.b)
        return self.a

    def backward(self, grad, lr):
        grad = grad * (1 - self.a ** 2)
        dx = grad @ self.W.T
        self.W -= lr * self.x.T @ grad
        self.b -= lr * grad.sum(axis=0, keepdims=True)
        return dx

class Model:
    def __init__(self, layer_sizes):
        self.layers = [Layer(a, b) for a, b in zip(layer_sizes, layer_sizes[1:])]

    def train(self, X, y, epochs, lr):
        for _ in range(epochs):
            out = X
            for layer in self.layers:
                out = layer.forward(out)
            grad = (out - y) / len(X)
            for layer in reversed(self.layers):
                grad = layer.backward(grad, lr)
"""

RASHID = """
import numpy

class neuralNetwork:
    def __init__(self, inputnodes, hiddennodes, outputnodes, learningrate):
        self.inodes = inputnodes
        self.hnodes = hiddennodes
        self.onodes = outputnodes
        self.wih = numpy.random.normal(0.0, pow(self.inodes, -0.5), (self.hnodes, self.inodes))
        self.who = numpy.random.normal(0.0, pow(self.hnodes, -0.5), (self.onodes, self.hnodes))
        self.lr = learningrate
        self.activation_function = lambda x: 1 / (1 + numpy.exp(-x))

    def train(self, inputs_list, targets_list):
        inputs = numpy.array(inputs_list, ndmin=2).T
        targets = numpy.array(targets_list, ndmin=2).T
        hidden_outputs = self.activation_function(numpy.dot(self.wih, inputs))
        final_outputs = self.activation_function(numpy.dot(self.who, hidden_outputs))
        output_errors = targets - final_outputs
        hidden_errors = numpy.dot(self.who.T, output_errors * final_outputs * (1.0 - final_outputs))
        self.who += self.lr * numpy.dot((output_errors * final_outputs * (1.0 - final_outputs)), hidden_outputs.T)
        self.wih += self.lr * numpy.dot((hidden_errors * hidden_outputs * (1.0 - hidden_outputs)), inputs.T)
"""

TUPLES = """
import numpy as np

def init_network(sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])]

def train_step(params, X, y, lr=0.1):
    acts = [X]
    for W, b in params[:-1]:
        acts.append(np.tanh(acts[-1] @ W.T + b))
    W, b = params[-1]
    delta = 2 * (acts[-1] @ W.T + b - y) / len(X)
    new = []
    for (W, b), a in zip(reversed(params), reversed(acts)):
        new.append((W - lr * delta.T @ a, b - lr * delta.sum(0)))
        delta = delta @ W * (1 - a ** 2)
    return new[::-1]
"""

PARAMS = """
import numpy as np

class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, std=0.5):
        self.params = {}
        self.params["W1"] = std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = std * np.random.randn(hidden_size, output_size)
        self.params["b2"] = np.zeros(output_size)

    def loss(self, X, y):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        N = X.shape[0]
        h = np.maximum(0, X.dot(W1) + b1)
        scores = h.dot(W2) + b2
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(N), y]).mean()
        dscores = p
        dscores[np.arange(N), y] -= 1
        dscores /= N
        grads = {"W2": h.T.dot(dscores), "b2": dscores.sum(axis=0)}
        dh = dscores.dot(W2.T)
        dh[h <= 0] = 0
        grads["W1"] = X.T.dot(dh)
        grads["b1"] = dh.sum(axis=0)
        return loss, grads

    def train(self, X, y, learning_rate=1e-3, num_iters=100, batch_size=200):
        for it in range(num_iters):
            loss, grads = self.loss(X, y)
            for name in self.params:
                self.params[name] -= learning_rate * grads[name]
"""

RETURNED = """
import numpy as np

class Net:
    def __init__(self, n_in, n_hidden, n_out):
        self.W1 = np.random.randn(n_hidden, n_in)
        self.b1 = np.random.randn(n_hidden, 1)
        self.W2 = np.random.randn(n_out, n_hidden)
        self.b2 = np.random.randn(n_out, 1)

    def forward(self, X):
        self.X = X
        self.h = np.tanh(self.W1 @ X + self.b1)
        return 1 / (1 + np.exp(-(self.W2 @ self.h + self.b2)))

    def backward(self, y_hat, y):
        m = y.shape[1]
        d2 = (y_hat - y) / m
        d1 = self.W2.T @ d2 * (1 - self.h ** 2)
        return {"dW1": d1 @ self.X.T, "db1": d1.sum(axis=1, keepdims=True),
                "dW2": d2 @ self.h.T, "db2": d2.sum(axis=1, keepdims=True)}
"""

REGRESSION = """
import numpy as np

X = np.linspace(0, 1, 20).reshape(-1, 1)
y = 3 * X + 1
w = np.zeros((1, 1))
b = np.zeros(1)

def predict(X, w, b):
    return X @ w + b

def gradient(X, y, w, b):
    error = predict(X, w, b) - y
    dw = 2 * X.T @ error / len(X)
    db = 2 * error.mean(axis=0)
    return dw, db

for i in range(50):
    dw, db = gradient(X, y, w, b)
    w = w - 0.1 * dw
    b = b - 0.1 * db
"""

ENDLESS = (
    MLP
    + """
np.random.seed(0)
model = MLP(2, 3, 2)
while True:
    model.fit(np.random.randn(50, 2), np.random.randint(2, size=50), epochs=10)
"""
)

# name: (code, what stands there, a slip instead, where that shows)
STYLES = {
    "lists": (LISTS, ".T, delta) * sigmoid_prime(z)", ".T, delta)", "dZ1"),
    "two_layers": (TWO_LAYERS, "* sigmoid_derivative(self.layer1))", ")", "dW1"),
    "planar": (PLANAR, "dW1 = np.dot(dZ1, X.T) / m", "dW1 = np.dot(dZ1, X.T)", "dW1"),
    "mlp": (MLP, "* (self.Z1 > 0)", "* 1", "dZ1"),
    "logistic": (LOGISTIC, "db = (1 / n_samples) * ", "db = ", "db1"),
    "synapses": (SYNAPSES, "l1_error * nonlin(l1, deriv=True)", "l1_error", "dW1"),
    "digits": (DIGITS, "db1 = 1 / m * ", "db1 = ", "db1"),
    "globals": (GLOBALS, "* (1 - h ** 2)", "* (1 - h)", "dZ1"),
    "layers": (LAYERS, "self.b -= lr * grad.sum(axis=0, keepdims=True)", "self.b -= lr * grad.sum()", "db"),
    "rashid": (RASHID, "numpy.dot(self.who.T, output_errors * final_outputs * (1.0 - final_outputs))",
               "numpy.dot(self.who.T, output_errors)", "d"),
    "tuples": (TUPLES, "delta = delta @ W * (1 - a ** 2)", "delta = delta @ W", "d"),
    "params": (PARAMS, "dh[h <= 0] = 0", "dh[h < 0] = 0", "dZ1"),
    "returned": (RETURNED, '"db1": d1.sum(axis=1, keepdims=True)', '"db1": d1.mean(axis=1, keepdims=True)', "db1"),
    "regression": (REGRESSION, "db = 2 * error.mean(axis=0)", "db = 2 * error.sum(axis=0)", "db1"),
}  # fmt: skip
