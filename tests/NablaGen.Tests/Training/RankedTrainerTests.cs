using NablaGen.Tests.Distributed;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

public class RankedTrainerTests
{
    [Fact]
    public void Ranks_keep_the_same_weights_by_the_mean_of_their_gradients()
    {
        const int Steps = 4;
        var weights = RankThreads.Run(2, world =>
        {
            using var scope = NewDisposeScope();
            // Each is pulled to a place of its own: 1 and 3.
            using var trainer = new Pulled(1 + 2 * world.Rank);
            if (world.Rank > 0)
            {
                RankedTrainer.Follow(trainer, world, CancellationToken.None);
            }
            else
            {
                var ranked = new RankedTrainer(trainer, world);
                Assert.Equal(2, ranked.Batch);
                ranked.Steps = 77;
                for (var i = 0; i < Steps; i++)
                {
                    ranked.Advance().Dispose();
                }

                ranked.Complete();
            }

            Assert.Equal((Steps, 77), (trainer.Step, trainer.Steps));
            return trainer.Weights;
        });
        Assert.Equal(weights[0], weights[1]);
        // What one rank learns that is pulled to the middle.
        using var alone = new Pulled(2);
        alone.Steps = 77;
        for (var i = 0; i < Steps; i++)
        {
            alone.Advance().Dispose();
        }

        Assert.All(weights[0].Zip(alone.Weights), pair => Assert.Equal(pair.Second, pair.First, 1e-6f));
        Assert.All(weights[0], weight => Assert.InRange(weight, 1e-3f, 1));
    }

    // Weights that a step moves toward a number.
    private sealed class Pulled : OptimizedTrainer
    {
        private readonly nn.Module<Tensor, Tensor> _module = nn.Linear(3, 2, hasBias: false);
        private readonly float _to;

        public Pulled(float to)
        {
            _to = to;
            using var noGrad = no_grad();
            _module.parameters().Single().zero_();
            Parameters = new FlatParameters([("", _module)]);
            Optimizer = new Optimizer(Parameters, new OptimizerOptions { LearningRate = 0.1, Steps = 1000, WarmUp = 1, WeightDecay = 0 });
        }

        // Behind them the vector is padded.
        public float[] Weights => Parameters.Master.data<float>().ToArray()[..6];

        public override string Name => "pulled";

        public override int Batch => 1;

        public override IReadOnlyList<string> Measures { get; } = ["loss"];

        public override FlatParameters Parameters { get; }

        protected override Optimizer Optimizer { get; }

        public override void Prepare(Action<int, int>? onGroup, CancellationToken cancellation)
        {
        }

        public override Tensor Advance()
        {
            using var scope = NewDisposeScope();
            var loss = (_module.parameters().Single() - tensor(_to)).square().sum();
            Optimizer.Update(Mean(Parameters.Gradient(loss)));
            return loss.detach().MoveToOuterDisposeScope();
        }

        public override Tensor? Picture() => null;

        public override string Export(string folder) => "";

        public override void Dispose()
        {
            Optimizer.Dispose();
            Parameters.Dispose();
            _module.Dispose();
        }
    }
}
