"""Two real processes (gloo) estimate what one does."""

import torch
from safetensors.torch import load_file
from tiny_training import PACKAGE, assert_same_bits, make_data, make_model, torchrun

from hf_transfer_kit.fisher import estimate_fisher


def test_two_processes_give_the_answer_of_one(tmp_path):
    result = torchrun(str(PACKAGE / "tests" / "distributed" / "fisher_two.py"), str(tmp_path))
    assert result.returncode == 0, result.stderr[-3000:]
    for kind, rows in {"empirical": 7, "sampled": 7, "mas": 1}.items():
        first, second = (load_file(tmp_path / f"{kind}-{rank}.safetensors") for rank in (0, 1))
        alone = estimate_fisher(make_model(), make_data(rows), kind)
        assert_same_bits(first, second)
        for name, tensor in alone.items():
            torch.testing.assert_close(first[name], tensor, rtol=1e-5, atol=1e-10)
