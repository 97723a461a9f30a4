import torch

from gaplab.stacked.ensemble import mean_over_steps


def test_mean_over_steps_of_a_model_is_the_same_alone_and_among_others() -> None:
    losses = torch.rand(200, 7, generator=torch.Generator().manual_seed(0))
    together = mean_over_steps(losses)
    for index in range(7):
        for beside in range(1, 8 - index):
            assert torch.equal(
                mean_over_steps(losses[:, index : index + beside].contiguous())[0], together[index]
            )
    torch.testing.assert_close(together, losses.double().mean(0), rtol=1e-14, atol=0)
