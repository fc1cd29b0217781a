import torch
from torch.testing import assert_close

from sklearnloss.functional.class_gaps import class_gaps

LOGITS, Y = torch.zeros(3, 3, dtype=torch.float64), torch.tensor([0, 1, 2])


def numbers(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_are_the_numbers_of_the_classes_less_that_of_the_true_one():
    values = torch.tensor([1.0, -2.0, 6.0], dtype=torch.float64)
    wanted = numbers([0, -3, 5], [3, 0, 8], [-5, -8, 0])
    assert_close(class_gaps(LOGITS, Y, values, normalize=False), wanted)
    assert_close(class_gaps(LOGITS, Y, values, normalize=True), wanted / 8)


def test_classes_without_numbers_are_counted():
    assert_close(class_gaps(LOGITS, Y, None, normalize=False), numbers([0, 1, 2], [-1, 0, 1], [-2, -1, 0]))


def test_large_numbers_near_each_other_keep_their_digits_where_normalised():
    values = torch.tensor([1e9, 1e9 + 1, 1e9 + 4], dtype=torch.float64)
    gaps = class_gaps(LOGITS, Y, values, normalize=True)
    assert torch.equal(gaps, class_gaps(LOGITS, Y, torch.tensor([0.0, 1.0, 4.0]), normalize=True))


def test_are_of_the_dtype_of_the_scores():
    assert class_gaps(LOGITS.bfloat16(), Y, torch.arange(3.0), normalize=True).dtype == torch.bfloat16
