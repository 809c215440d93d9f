using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

public class OptimizerTests
{
    [Fact]
    public void Updates_equal_those_of_the_library()
    {
        using var scope = NewDisposeScope();
        var (ours, theirs) = (nn.Linear(6, 5), nn.Linear(6, 5));
        using (no_grad())
        {
            theirs.weight!.copy_(ours.weight!);
            theirs.bias!.copy_(ours.bias!);
        }

        using var parameters = new FlatParameters(("", ours));
        using var optimizer = new Optimizer(parameters, new OptimizerOptions
        {
            LearningRate = 0.05,
            Steps = int.MaxValue,
            WarmUp = 0,
            WeightDecay = 0,
            MaxNorm = 0.5,
            Beta2 = 0.95,
        });
        var reference = optim.AdamW(theirs.parameters(), 0.05, 0.9, 0.95, weight_decay: 0);
        for (var step = 0; step < 10; step++)
        {
            var (x, y) = (randn(8, 6), randn(8, 5));
            optimizer.Update(parameters.Gradient((ours.forward(x) - y).square().mean()));

            reference.zero_grad();
            (theirs.forward(x) - y).square().mean().backward();
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.5);
            reference.step();
        }

        Golden.AssertClose(ours.weight!, theirs.weight!, 1e-5);
        Golden.AssertClose(ours.bias!, theirs.bias!, 1e-5);
    }

    [Fact]
    public void Decay_shrinks_products_and_leaves_biases()
    {
        using var scope = NewDisposeScope();
        using var model = nn.Linear(6, 5);
        var (weight, bias) = (model.weight!.detach().clone(), model.bias!.detach().clone());
        using var parameters = new FlatParameters(("", model));
        using var optimizer = new Optimizer(parameters, new OptimizerOptions { LearningRate = 0.1, Steps = int.MaxValue, WarmUp = 0, WeightDecay = 0.5 });
        optimizer.Update(zeros_like(parameters.Master));
        Golden.AssertClose(model.weight!, weight * 0.95, 1e-6);
        Golden.AssertClose(model.bias!, bias, 1e-6);
    }

    [Fact]
    public void Sixteen_bit_parameters_follow_the_master_weights()
    {
        using var scope = NewDisposeScope();
        var config = Toys.Sizes().Dit;
        using var model = new WanModel(config, new ModuleOptions(CPU, ScalarType.BFloat16));
        using var generator = new Generator(1);
        Initialization.Draw(model, generator);
        using var parameters = new FlatParameters(("", model));
        Assert.InRange(parameters.HalfLength, 1, parameters.Count - 1);
        using (no_grad())
        {
            parameters.Master.copy_(randn_like(parameters.Master));
        }

        parameters.Publish();
        AssertPublished(parameters.Master);
        var own = parameters.Master.clone();
        var lent = randn_like(own);
        using (parameters.Lend(lent))
        {
            AssertPublished(lent);
        }

        AssertPublished(own);

        void AssertPublished(Tensor master)
        {
            var places = parameters.Items.ToDictionary(item => item.Name, item => item.Start);
            foreach (var (name, parameter) in model.named_parameters())
            {
                var expected = master.narrow(0, places[name], parameter.numel()).view(parameter.shape).to_type(parameter.dtype);
                Assert.True(parameter.equal(expected).all().item<bool>(), name);
            }
        }
    }

    [Fact]
    public void The_rate_rises_then_falls()
    {
        var options = new OptimizerOptions { LearningRate = 2, Steps = 1000, WarmUp = 100 };
        Assert.Equal(0.02, options.RateAt(0), 1e-9);
        Assert.Equal(1, options.RateAt(49), 1e-9);
        Assert.Equal(2, options.RateAt(100), 1e-9);
        Assert.InRange(options.RateAt(550), 0.9, 1.1);
        Assert.Equal(0.02, options.RateAt(1000), 1e-9);
        Assert.Equal(0.02, options.RateAt(5000), 1e-9);
    }

    [Theory]
    [InlineData(12, 20)]
    [InlineData(20, 12)]
    [InlineData(8, 8)]
    public void Muons_steps_keep_directions_and_level_their_sizes(int rows, int columns)
    {
        using var scope = NewDisposeScope();
        var size = Math.Min(rows, columns);
        var (u, v) = (linalg.qr(randn(2, rows, size)).Q, linalg.qr(randn(2, columns, size)).Q);
        // Singular values from 1 to 0.05.
        var sizes = logspace(0, Math.Log10(0.05), size);
        var step = Muon.Orthogonalize((u * sizes).bmm(v.transpose(1, 2)));
        var inside = u.transpose(1, 2).bmm(step).bmm(v);
        var diagonal = inside.diagonal(0, 1, 2);
        Assert.InRange(diagonal.min().item<float>(), 0.65, 1.25);
        Assert.InRange(diagonal.max().item<float>(), 0.65, 1.25);
        Golden.AssertClose(inside, diag_embed(diagonal), 1e-4);
    }

    [Fact]
    public void Muon_moves_the_matrices_inside_and_AdamW_the_rest()
    {
        using var scope = NewDisposeScope();
        using var model = new WanModel(Toys.Sizes().Dit, ModuleOptions.Cpu);
        using var generator = new Generator(1);
        Initialization.Draw(model, generator);
        using var parameters = new FlatParameters(("", model));
        var options = new OptimizerOptions { Method = OptimizerMethod.Muon, LearningRate = 0.5, Steps = int.MaxValue, WarmUp = 0, WeightDecay = 0, MaxNorm = 1e9 };
        using var optimizer = new Optimizer(parameters, options);
        var before = parameters.Master.clone();
        var gradient = randn_like(before);
        optimizer.Update(gradient.clone());
        var moved = (before - parameters.Master) / 0.5;
        var matrices = 0;
        foreach (var (name, shape, start) in parameters.Items)
        {
            var count = shape.Aggregate(1L, (product, side) => product * side);
            var (step, slope) = (moved.narrow(0, start, count).view(shape), gradient.narrow(0, start, count).view(shape));
            if (name.StartsWith("blocks.", StringComparison.Ordinal) && name.EndsWith(".weight", StringComparison.Ordinal) && shape.Length == 2)
            {
                matrices++;
                var expected = Muon.Orthogonalize(slope.unsqueeze(0)).squeeze(0) * 0.2 * Math.Sqrt(shape.Max());
                Golden.AssertClose(step, expected, 1e-3);
            }
            else
            {
                // AdamW's first step is the gradient's sign.
                Golden.AssertClose(step, slope.sign(), 1e-3);
            }
        }

        Assert.Equal(10 * Toys.Sizes().Dit.NumLayers, matrices);
    }
}
