"""What a model answers without training: label names alone, then with two examples of each label."""

import csv

from hf_transfer_kit import Demonstration, make_classifier
from hf_transfer_kit.demo import demo_data

with open(demo_data(), newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
labels = sorted({row["intent"] for row in rows})
by_label = {label: [row["text"] for row in rows if row["intent"] == label] for label in labels}
shown = [Demonstration(input=text, label=label) for label in labels for text in by_label[label][:2]]
asked = [(text, number) for number, label in enumerate(labels) for text in by_label[label][2:12]]

classifier = make_classifier("sentence-transformers/all-MiniLM-L6-v2")  # or a language model, or a remote one
for name, demonstrations in (("label names alone", None), ("two examples of each label", shown)):
    classifier.fit(labels, demonstrations)
    scores = classifier.score([text for text, _ in asked])
    right = sum(scores.predictions == [number for _, number in asked])
    print(f"{name}: {right} of {len(asked)} right, {scores.usage.seconds:.2f} s, {scores.usage.tokens_in} tokens read")
