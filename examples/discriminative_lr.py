"""base.py with lower rates for lower blocks, and a higher one for the head."""

from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

from hf_transfer_kit import DataSpec, ModelSpec, discriminative_lr, load_data  # New
from hf_transfer_kit.demo import demo_data, older_data
from hf_transfer_kit.models import resolve

set_seed(0)
source = resolve(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"))
tokenizer = AutoTokenizer.from_pretrained(source)
old_data, new_data = (load_data(DataSpec(path=str(file))) for file in (older_data(), demo_data()))
labels = [*old_data.label_names, *new_data.label_names]  # one head for both tasks
model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(labels))
model.accepts_loss_kwargs = False  # else gradients grow with processes and accumulation (transformers 5.23)


def rows(data, part):
    """Token rows of a part of `data`, with labels counted over both tasks."""
    number = [labels.index(name) for name in data.label_names]
    return data.part(part).map(
        lambda row: tokenizer(row["input"]) | {"labels": number[row["label"]]}, remove_columns=["input", "label"]
    )


def arguments(name):
    """Settings of one training: three passes in small batches."""
    return TrainingArguments(
        output_dir=f"runs/{name}",
        num_train_epochs=3,
        learning_rate=1e-4,
        per_device_train_batch_size=4,
        save_strategy="no",
        report_to="none",
    )


def accuracy(answer):
    """Share of right answers among the labels of both tasks."""
    return {"accuracy": float((answer.predictions.argmax(-1) == answer.label_ids).mean())}


old, new = ({part: rows(data, part) for part in ("train", "test")} for data in (old_data, new_data))
Trainer(model=model, args=arguments("old"), train_dataset=old["train"], processing_class=tokenizer).train()
optimizer = discriminative_lr(model, lr=1e-4, decay=0.9, head_lr=1e-3)  # New
trainer = Trainer(
    model=model,
    args=arguments("discriminative_lr"),
    train_dataset=new["train"],
    eval_dataset=new["test"],
    processing_class=tokenizer,
    compute_metrics=accuracy,
    optimizers=(optimizer, None),  # New
)
before = trainer.evaluate(old["test"])["eval_accuracy"]
trainer.train()
after, reached = (trainer.evaluate(task["test"])["eval_accuracy"] for task in (old, new))
print(f"old task: {before:.2f} before, {after:.2f} after; new task: {reached:.2f}")
trainer.accelerator.end_training()  # of several processes: leave their group
