// An actor whose state survives its restart: it puts checkpoints into the object store, another actor keeps the refs,
// and the factory begins at the latest. What is lost is only what was done since.
#include <ray/api.h>

#include <cstddef>
#include <cstdio>
#include <vector>

namespace {

struct Model {
  int step = 0;
  std::vector<double> weights = std::vector<double>(1000, 1.0);

  void Train() {
    ++step;
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = weights[i] * 0.99 + static_cast<double>(i % 7) * step;
  }
};

// Keeps the object alive, without looking at it.
class CheckpointHolder {
 public:
  static CheckpointHolder* Create(ray::ObjectRef<Model> first) { return new CheckpointHolder(first); }
  void Keep(ray::ObjectRef<Model> checkpoint) { latest_ = checkpoint; }
  ray::ObjectRef<Model> Latest() const { return latest_; }

 private:
  explicit CheckpointHolder(const ray::ObjectRef<Model>& first) : latest_(first) {}
  ray::ObjectRef<Model> latest_;
};

class Trainer {
 public:
  // A restart runs it again, with the same arguments: so it is given the holder, and asks it for the checkpoint.
  static Trainer* Create(ray::ActorHandle<CheckpointHolder> holder) {
    const ray::ObjectRef<Model> latest = *ray::Get(holder.Task(&CheckpointHolder::Latest).Remote());
    return new Trainer(holder, *ray::View(latest));
  }

  // Trains up to `step`, and gives the step that it began after.
  int TrainTo(int step) {
    const int from = model_.step;
    while (model_.step < step) {
      model_.Train();
      if (model_.step % 10 == 0) ray::Get(holder_.Task(&CheckpointHolder::Keep).Remote(ray::Put(model_)));
    }
    return from;
  }
  Model Current() const { return model_; }
  bool Restarted() const { return ray::WasCurrentActorRestarted(); }

 private:
  Trainer(const ray::ActorHandle<CheckpointHolder>& holder, const Model& model) : holder_(holder), model_(model) {}
  const ray::ActorHandle<CheckpointHolder> holder_;
  Model model_;
};

RAY_REMOTE(CheckpointHolder::Create, &CheckpointHolder::Keep, &CheckpointHolder::Latest);
RAY_REMOTE(Trainer::Create, &Trainer::TrainTo, &Trainer::Current, &Trainer::Restarted);

}  // namespace

int main() {
  ray::Init();
  auto holder = ray::Actor(CheckpointHolder::Create).Remote(ray::Put(Model()));
  auto trainer = ray::Actor(Trainer::Create).SetMaxRestarts(1).Remote(holder);

  ray::Get(trainer.Task(&Trainer::TrainTo).Remote(25));
  std::printf("trained to step %d\n", ray::Get(trainer.Task(&Trainer::Current).Remote())->step);

  trainer.Kill(/*no_restart=*/false);
  std::printf("killed; restarted: %s\n", *ray::Get(trainer.Task(&Trainer::Restarted).Remote()) ? "yes" : "no");
  const int from = *ray::Get(trainer.Task(&Trainer::TrainTo).Remote(40));
  std::printf("trained again, from the checkpoint of step %d to step 40\n", from);

  Model undisturbed;
  while (undisturbed.step < 40) undisturbed.Train();
  const bool same = ray::Get(trainer.Task(&Trainer::Current).Remote())->weights == undisturbed.weights;
  std::printf("weights as without the kill: %s\n", same ? "yes" : "no");
  ray::Shutdown();
  return same ? 0 : 1;
}
