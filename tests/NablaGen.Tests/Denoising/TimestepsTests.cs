using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using static TorchSharp.torch;

namespace NablaGen.Tests.Denoising;

/// <summary>Lists of timesteps, and the step of few-step models.</summary>
public class TimestepsTests
{
    public static TheoryData<string> SolverNames => [.. Solvers.Names];

    [Theory]
    [MemberData(nameof(SolverNames))]
    public void Even_timesteps_are_those_of_a_number_of_steps(string name)
    {
        using var even = Solvers.Create(name, 4, 5);
        using var listed = Solvers.Create(name, 4, 5, [1000, 750, 500, 250]);
        if (name is "unipc" or "flow-euler")
        {
            // Their own even levels start at 0.999 and at 1600/1601; a list is taken as it is but for the first, which stays there.
            Assert.Equal(even.Schedule.Sigmas[0], listed.Schedule.Sigmas[0]);
            Assert.Equal(5 * 0.75f / (1 + 4 * 0.75f), listed.Schedule.Sigmas[1]);
        }
        else
        {
            Assert.Equal(even.Schedule.Sigmas, listed.Schedule.Sigmas);
            Assert.Equal(even.Schedule.Timesteps, listed.Schedule.Timesteps);
        }
    }

    [Fact]
    public void A_list_goes_through_the_shift()
    {
        using var solver = Solvers.Create("x0", 3, 8, [1000, 757, 522]);
        // σ = s t / (1 + (s − 1) t)
        float[] expected = [1, (float)(8 * 0.757 / (1 + 7 * 0.757)), (float)(8 * 0.522 / (1 + 7 * 0.522)), 0];
        Assert.Equal(expected, solver.Schedule.Sigmas);
        Assert.Equal([1000, 961, 897], solver.Schedule.Timesteps);
        Assert.Throws<ArgumentException>(() => Solvers.Create("x0", 2, 8, [1000, 757, 522]));
    }

    [Theory]
    [MemberData(nameof(SolverNames))]
    public void Each_solver_takes_a_list_and_ends_at_the_prediction(string name)
    {
        using var scope = NewDisposeScope();
        using var solver = Solvers.Create(name, 3, 5, [1000, 600, 100]);
        // Where the model predicts one video whatever the noise, that is the result.
        var (x, video) = (randn(2, 5), randn(2, 5));
        for (var step = 0; step < 3; step++)
        {
            x = solver.Step((x - video) / solver.Schedule.Sigmas[step], x);
        }

        Golden.AssertClose(x, video, 1e-5);
    }

    [Fact]
    public void Flow_eulers_times_keep_their_fractions_and_scale_the_noise()
    {
        using var solver = Solvers.Create("flow-euler", 3, 1, [1000, 933.781, 852.895]);
        Assert.Equal([999.375, 933.781, 852.895], solver.Schedule.Timesteps.Select(time => Math.Round(time, 3)));
        Assert.Equal(1600.0 / 1601, solver.NoiseScale, 1e-7);
        foreach (var name in Solvers.Names.Except(["flow-euler"]))
        {
            using var other = Solvers.Create(name, 3, 1);
            Assert.Equal(1, other.NoiseScale);
        }
    }

    [Fact]
    public void The_x0_step_goes_to_the_prediction_and_back()
    {
        using var scope = NewDisposeScope();
        using var solver = Solvers.Create("x0", 2, 5, [1000, 500]);
        var (x, v) = (randn(3, 4), randn(3, 4));
        var next = solver.Step(v, x);
        var sigma = 5 * 0.5f / (1 + 4 * 0.5f);
        Golden.AssertClose(next, x - v + v * sigma, 1e-6);
        var w = randn(3, 4);
        Golden.AssertClose(solver.Step(w, next), next - w * sigma, 1e-6);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 2)]
    public void Guidance_1_is_one_pass_a_step(double guidance, int passes)
    {
        var request = GoldenSampling.Request("dense", steps: 2) with { Guidance = guidance, Width = 64, Height = 64, Frames = 1, Solver = "x0", Timesteps = [1000, 500] };
        var counter = new Counter();
        using var latents = GoldenSampling.Run(request, counter);
        using var golden = Golden.Open("dit");
        Assert.Equal(2 * passes * golden.Dit().Traits.Layers, counter.Attentions);
    }

    [Fact]
    public void Timesteps_are_the_steps_of_a_request()
    {
        var defaults = GenerationDefaults.Wan;
        PartialRequest Said(string steps, string? number = null)
        {
            var texts = new List<KeyValuePair<RequestField, string>> { KeyValuePair.Create((RequestField)RequestFields.Timesteps, steps) };
            if (number is not null)
            {
                texts.Add(KeyValuePair.Create((RequestField)RequestFields.Steps, number));
            }

            return RequestFields.Table.Read(texts, FieldSource.CommandLine) with { Prompt = "x" };
        }

        Assert.Equal(3, Said("1000,750,250").ToRequest(defaults).Steps);
        Assert.Equal("--timesteps names 3 steps and --steps says 4: give one of them",
            Assert.Throws<InvalidRequestException>(() => Said("1000,750,250", "4").ToRequest(defaults)).Message);
        using var golden = Golden.Open("dit");
        var rising = GoldenSampling.Request("dense", steps: 2) with { Timesteps = [500, 750] };
        Assert.Equal("each of the timesteps must be below the one before it",
            Assert.Throws<InvalidRequestException>(() => rising.Check(golden.Dit().Traits, Vae())).Message);
        Assert.Throws<InvalidRequestException>(() => Said("1001,5"));
        Assert.Throws<InvalidRequestException>(() => Said("750,0"));

        // A number of steps over a recipe's list, and a list over a recipe's number.
        var recipe = Said("1000,750,250");
        Assert.Null(new PartialRequest { Steps = 9 }.Over(recipe, defaults).ToRequest(defaults).Timesteps);
        Assert.Equal(2, Said("1000,500").Over(new PartialRequest { Steps = 9 }, defaults).ToRequest(defaults).Steps);
    }

    private static NablaGen.Models.LatentTraits Vae()
    {
        using var vae = Golden.Open("vae");
        return NablaGen.Models.Wan.ModelConfigs.ParseVae(vae.Metadata("config"), "vae").Traits;
    }

    private sealed class Counter : ISamplingObserver
    {
        public int Attentions { get; private set; }

        public void OnDense(AttentionSite site) => Attentions++;

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => Attentions++;

        public void OnStep(int step, Tensor latents)
        {
        }
    }
}
