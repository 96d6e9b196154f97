"""Diagonal Fisher information: how much each weight matters for what a model knows. One name: `estimate_fisher`.

estimate     the public function: examples in, one tensor per parameter out
batches      examples -> batches whose rows can be taken out again
own_loss     what each example of a batch loses by itself, for every kind of importance
rules        a layer's input and the gradient of its output -> each example's own weight gradient
hooks        one batched forward and backward pass, with the rules applied on the way
per_example  one example at a time by plain autograd: the yardstick, and what remains without a rule
"""

from hf_transfer_kit.fisher.estimate import estimate_fisher

__all__ = ["estimate_fisher"]
