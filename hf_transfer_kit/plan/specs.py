"""What a plan says besides its approach: the data, the model, the training loop."""

from dataclasses import dataclass, replace

from hf_transfer_kit.errors import PlanError, did_you_mean

YOUR_DATA, YOUR_OLD_DATA = "YOUR_DATA", "YOUR_OLD_DATA"  # paths to be filled in, where none was at hand


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """Which examples to learn from.

    Fields:
        path: a Hub name, a CSV / TSV / JSON / JSONL / Parquet file, a folder of such files named by split, a folder of
            images by class, or a `save_to_disk` folder.
        config, revision: of a Hub data set.
        task: "text-classification" or "image-classification"; None: found from the columns.
        input_column, label_column: None: found from the columns.
        validation_share, test_share: share of the rows split off, stratified, where the data has no such part;
            in (0, 1).
        split_seed: seed of that split; the same for every run of a comparison.
        train_size: labelled training examples to use, stratified; None: all. Validation is then cut to as many.
        max_length: longest text in tokens; longer ones are cut.
        drop_empty: leave out rows with an empty input or no label instead of stopping.
        drop_rare: leave out classes with too few examples to split instead of stopping.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    task: str | None = None
    input_column: str | None = None
    label_column: str | None = None
    validation_share: float = 0.15
    test_share: float = 0.2
    split_seed: int = 0
    train_size: int | None = None
    max_length: int = 128
    drop_empty: bool = False
    drop_rare: bool = False

    def __post_init__(self) -> None:
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise PlanError(f"{name}={getattr(self, name)} must lie between 0 and 1; use 0.2 for a fifth.")
        if self.validation_share + self.test_share >= 1:
            raise PlanError(
                f"validation_share={self.validation_share} and test_share={self.test_share} leave nothing to train "
                "on; their sum must be below 1."
            )
        if self.train_size is not None and self.train_size < 1:
            raise PlanError(f"train_size={self.train_size} must be >= 1; leave it out to use all examples.")
        if self.max_length < 2:
            raise PlanError(f"max_length={self.max_length} leaves no room for words; use 128.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where a chat model answers that is not loaded here, and what it may cost. Keys are never part of a plan.

    Fields:
        url: of an OpenAI-compatible server ("http://127.0.0.1:8000/v1"), whose key is read from the environment
            variable TRANSFER_KIT_API_KEY.
        provider: of Hugging Face's Inference Providers ("auto", "together", ...), with the key of `hf auth login` or
            HF_TOKEN. Either this or `url`.
        price_in, price_out: dollars per million tokens of prompt and of answer; 0 for a server of your own.
        max_dollars: spending stops before it passes this; None only where nothing costs anything.
        requests_per_minute: most requests, and how fast they are sent.
        parallel: requests under way at once.
        timeout: seconds to wait for one answer.
    """

    url: str | None = None
    provider: str | None = None
    price_in: float = 0.0
    price_out: float = 0.0
    max_dollars: float | None = None
    requests_per_minute: float = 600.0
    parallel: int = 8
    timeout: float = 60.0

    def __post_init__(self) -> None:
        if (self.url is None) == (self.provider is None):
            raise PlanError("a remote model needs either a url or a provider; give one of them.")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise PlanError(f"url '{self.url}' does not start with http:// or https://; give the server's address.")
        for name in ("price_in", "price_out"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"remote.{name}={getattr(self, name)} must be >= 0, in dollars per million tokens.")
        for name in ("requests_per_minute", "parallel", "timeout"):
            if not getattr(self, name) > 0:
                raise PlanError(f"remote.{name}={getattr(self, name)} must be > 0; leave it out for the default.")
        if self.max_dollars is not None and not self.max_dollars > 0:
            raise PlanError(f"remote.max_dollars={self.max_dollars} must be > 0.")
        if self.max_dollars is None and (self.price_in or self.price_out):
            raise PlanError("the answers of this model cost money; say how much at most: --max-dollars 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Which pre-trained model to start from.

    Fields:
        name: a Hub name or a local folder.
        revision: branch, tag or commit of a Hub model.
        blocks: names of the model's blocks, bottom to top, where they cannot be found automatically.
        remote: where it answers, if it is not loaded here; only prompts can be compared on such a model.
    """

    name: str
    revision: str | None = None
    blocks: tuple[str, ...] | None = None
    remote: Remote | None = None

    def without_limits(self) -> "ModelSpec":
        """The same model without what changes no answer: how fast it is asked, and for how much money."""
        if self.remote is None:
            return self
        usual = Remote(url=self.remote.url, provider=self.remote.provider)
        return replace(self, remote=usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The training loop of the trained approaches (top_layers, full, lora, scratch).

    Fields:
        epochs: most passes over the training data.
        min_steps: with little data, pass more often until there are this many optimizer steps (Mosbach et al. 2021,
            arXiv:2006.04884: few examples need more passes, not fewer).
        patience: evaluations on validation without improvement before stopping.
        batch_size: examples per optimizer step, over all processes and accumulated micro-batches.
        accumulation: micro-batches per optimizer step; saves memory, changes no result (but for a random start
            with batch norm, whose statistics are those of a micro-batch).
        weight_decay: of AdamW, not applied to biases and norms.
        warmup_share: share of the steps over which the rates rise from 0.
        dropout: probability used everywhere in the model; None: the model's own. 0 makes a run independent of how its
            batches are spread over processes and micro-batches.
        precision: "auto" (bf16 where the GPU has it, else fp32), "fp32" or "bf16".
        checkpoint_seconds: shortest time between two checkpoints, which follow evaluations; short runs write none.
        gradient_checkpointing: recompute activations in the backward pass; less memory, more time.
        report_to: experiment trackers of the Trainer: "trackio", "tensorboard", "wandb".
    """

    epochs: int = 10
    min_steps: int = 100
    patience: int = 2
    batch_size: int = 16
    accumulation: int = 1
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    dropout: float | None = 0.0
    precision: str = "auto"
    checkpoint_seconds: float = 60.0
    gradient_checkpointing: bool = False
    report_to: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise PlanError(f"training.{name}={getattr(self, name)} must be >= 1; leave it out for the default.")
        if self.batch_size % self.accumulation:
            raise PlanError(
                f"training.batch_size={self.batch_size} cannot be cut into accumulation={self.accumulation} equal "
                "micro-batches; choose a divisor."
            )
        for name in ("min_steps", "weight_decay", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise PlanError(f"training.{name}={getattr(self, name)} must be >= 0; use 0 to switch it off.")
        if not 0 <= self.warmup_share < 1:
            raise PlanError(f"training.warmup_share={self.warmup_share} must lie in [0, 1); use 0.1.")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise PlanError(f"training.dropout={self.dropout} must lie in [0, 1), or be null for the model's own.")
        if self.precision not in ("auto", "fp32", "bf16"):
            options = did_you_mean(self.precision, ["auto", "fp32", "bf16"])
            raise PlanError(f"training.precision='{self.precision}' is unknown; {options}")


def short_model_name(name: str) -> str:
    """The last part of a model's name or folder.

    Example:
        >>> short_model_name("sentence-transformers/all-MiniLM-L6-v2")
        'all-MiniLM-L6-v2'
    """
    return name.rstrip("/").rpartition("/")[2]
