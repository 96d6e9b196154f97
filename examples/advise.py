"""The advisor from Python: facts or words in, a plan out; and a conversation that changes its mind; no network."""

from hf_transfer_kit import DialogueState, TransferPlan, advise, export_plan, reply

advice = advise("5k tweets, 3 classes, one T4")
print(advice.method, advice.models[0].hub_id, advice.hyperparameters)
for reason in advice.reasons[:3]:
    print(f"- {reason.text} [{reason.rule}: {reason.source}]")
print("What would change it:", *(flip.text for flip in advice.flips[:2]))

plan = TransferPlan.from_mapping(advice.plan)  # its data are YOUR_DATA until you say where they are
print(export_plan(plan, processes=2, gpu=True).launch)

state = DialogueState()
for message in ("80 labelled chest x-rays, no GPU", "actually 20k", "why not full fine-tuning?"):
    state, answer = reply(state, message)  # a pure function: keep the state as you like
    print(f"\n> {message}\n{answer.understood}\n{answer.text}")
