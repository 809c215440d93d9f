using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

[Trait(Lane.Name, Lane.Alone)]
[Collection(nameof(AloneCollection))]
public class LeakTests
{
    [Theory]
    [InlineData("dense")]
    [InlineData("nabla-0.7_sta-1-1-1")]
    public void Live_tensors_after_a_generation_equal_those_before(string attention)
    {
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        using var pipeline = new TextToVideo(WanVideoModel.Open(folder["model"]), CPU, ScalarType.Float32);
        var request = Request(attention, steps: 3);
        pipeline.Generate(request, folder["warm.mp4"]);

        var statistics = DisposeScopeManager.Statistics;
        var (before, detached) = (statistics.ThreadTotalLiveCount, statistics.DetachedFromScopeCount);
        pipeline.Generate(request, folder["a.mp4"]);
        pipeline.DecodeLatents(folder["a.latents.safetensors"], folder["b.mp4"]);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Theory]
    [InlineData("dense", "unipc")]
    [InlineData("nabla-0.7", "dpm++")]
    public void Memory_is_flat_over_20_steps(string attention, string solver)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var sampler = new LatentSampler(golden.Dit());
        var request = Request(attention, steps: 20) with { Solver = solver, Width = 256, Height = 256 };
        var context = golden["context"].unsqueeze(0);
        using var noise = LatentSampler.Noise([16, 3, 32, 32], 1);
        var live = new List<long>();
        var resident = new List<long>();
        sampler.Sample(request, noise, context, context, new StepRecorder(() =>
        {
            live.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount);
            resident.Add(Resident());
        }));

        // The solvers keep outputs of two steps: from the third on nothing more comes.
        Assert.Single(live.Skip(3).Distinct());
        // Medians: the collector and the C library give memory back when they please, and a leak lifts every step.
        Assert.InRange(Median(resident.Skip(15)) - Median(resident.Skip(5).Take(5)), long.MinValue, 16L << 20);
    }

    [Fact]
    public void Kept_models_make_the_same_video_again()
    {
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        using var once = new TextToVideo(WanVideoModel.Open(folder["model"]), CPU, ScalarType.Float32);
        using var kept = new TextToVideo(WanVideoModel.Open(folder["model"]), CPU, ScalarType.Float32, keepLoaded: true);
        GenerationRequest[] requests = [Request("dense", 2), Request("nabla-0.5", 2) with { Prompt = "z", Seed = 7, Guidance = 1 }];
        var prepared = kept.Prepare(requests);
        for (var i = 0; i < 2; i++)
        {
            once.Generate(requests[i], folder[$"once{i}.mp4"]);
            var first = kept.Generate(prepared[i], folder[$"kept{i}.mp4"]);
            Assert.Equal(i == 0, first.Seconds.ContainsKey(GenerationStage.LoadTransformer));
            Assert.Equal(File.ReadAllBytes(folder[$"once{i}.latents.safetensors"]), File.ReadAllBytes(folder[$"kept{i}.latents.safetensors"]));
            Assert.Equal(File.ReadAllBytes(folder[$"once{i}.mp4"]), File.ReadAllBytes(folder[$"kept{i}.mp4"]));
            prepared[i].Dispose();
        }
    }

    private static long Median(IEnumerable<long> values) => values.Order().ElementAt(values.Count() / 2);

    private static GenerationRequest Request(string attention, int steps) => GoldenSampling.Request(attention, steps) with { Width = 128, Height = 128, Seed = 1 };

    private static long Resident()
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmRSS:"));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) << 10;
    }

    private sealed class StepRecorder(Action record) : ISamplingObserver
    {
        public void OnDense(AttentionSite site)
        {
        }

        public void OnSparse(AttentionSite site, IKeptBlocks kept)
        {
        }

        public void OnStep(int step, Tensor latents) => record();
    }
}
