"""Fine-tune a classifier on the demo sentences with nothing but transformers: what the other examples start from."""

from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

from hf_transfer_kit import DataSpec, ModelSpec, load_data
from hf_transfer_kit.demo import demo_data
from hf_transfer_kit.models import resolve

data = load_data(DataSpec(path=str(demo_data())))
source = resolve(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"))
tokenizer = AutoTokenizer.from_pretrained(source)
model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(data.label_names))
rows = {
    part: data.part(part).map(lambda batch: tokenizer(batch["input"]), batched=True, remove_columns="input")
    for part in ("train", "test")
}
args = TrainingArguments(
    output_dir="runs/base",
    num_train_epochs=2,
    learning_rate=5e-5,
    per_device_train_batch_size=16,
    save_strategy="no",
    report_to="none",
)
trainer = Trainer(
    model=model,
    args=args,
    train_dataset=rows["train"],
    eval_dataset=rows["test"],
    processing_class=tokenizer,
    compute_metrics=lambda answer: {"accuracy": float((answer.predictions.argmax(-1) == answer.label_ids).mean())},
)
trainer.train()
print(trainer.evaluate())
