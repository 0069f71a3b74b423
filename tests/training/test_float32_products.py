"""On CPUs with AVX2 only, the launcher multiplies bfloat16 matrices in float32."""

import sys

import pytest
import torch

from polypref.training import trainer


@pytest.fixture
def fast(monkeypatch):
    """torch's two functions before and after the launcher's change, which ends with the test."""
    monkeypatch.syspath_prepend(str(trainer.LAUNCHER.parent))
    before = torch.nn.functional.linear, torch.matmul
    monkeypatch.setattr(torch.nn.functional, "linear", before[0])
    monkeypatch.setattr(torch, "matmul", before[1])
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    import openrlhf_launcher

    openrlhf_launcher.multiply_in_float32()
    yield before, (torch.nn.functional.linear, torch.matmul)
    sys.modules.pop("openrlhf_launcher", None)


def test_products_and_gradients_are_those_of_bfloat16(fast):
    (linear, matmul), (fast_linear, fast_matmul) = fast
    torch.manual_seed(0)
    for plain, other in ((linear, fast_linear), (matmul, fast_matmul)):
        left, right = (torch.randn(shape, dtype=torch.bfloat16) for shape in ((32, 64), (64, 64)))
        found = []
        for function in (plain, other):
            inputs = [matrix.clone().requires_grad_() for matrix in (left, right)]
            product = function(*inputs)
            product.square().sum().backward()
            found.append([product, *(matrix.grad for matrix in inputs)])
        for one, two in zip(*found, strict=True):
            assert one.dtype == two.dtype == torch.bfloat16
            scale = one.abs().max().item()
            assert (one.float() - two.float()).abs().max().item() < 0.01 * scale


def test_other_types_are_left_alone(fast):
    _, (fast_linear, fast_matmul) = fast
    left, right = torch.randn(3, 4, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)
    assert fast_linear(left, right).dtype == fast_matmul(left, right).dtype == torch.float64


def test_layers_use_the_change(fast):
    layer = torch.nn.Linear(4, 2, dtype=torch.bfloat16)
    assert layer(torch.ones(1, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert torch.nn.modules.linear.F.linear is fast[1][0]
