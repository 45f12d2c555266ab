"""A searcher of one's own: a KerasTuner oracle, which decides what is tried next; the rest is the same for all.

Run: python examples/own_searcher.py
"""

import random

import keras_tuner as kt

import autorec as ar
from autorec.data.demo import click_log


class HillClimb(kt.Oracle):
    """Draws one hyperparameter of the best trial anew."""

    def populate_space(self, trial_id):
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if not done:
            return {"status": "RUNNING", "values": {}}  # all at their defaults
        sign = 1 if self.objective.direction == "max" else -1
        best = max(done, key=lambda trial: sign * trial.score)
        self._seed_state += 1  # the one state that a resumed search needs
        draw = random.Random(self._seed_state)
        changed = draw.choice([hp for hp in self.hyperparameters.space if best.hyperparameters.is_active(hp)])
        values = {**best.hyperparameters.values, changed.name: changed.random_sample(self._seed_state)}
        return {"status": "RUNNING", "values": values}


rec = ar.CTRRecommender(space="deepfm")
rec.search(click_log(rows=20_000), target="click", searcher=HillClimb(seed=1), max_trials=4, epochs=2, baselines=False)
print(rec.leaderboard().select("rank", "trial", "val_auc", "values"))
