using NablaGen.Attention;
using NablaGen.Cuda;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models.Wan;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Memory;

/// <summary>What is planned, refused and advised on a GPU that is made up.</summary>
public sealed class GenerationMemoryTests : IDisposable
{
    private const long MiB = 1L << 20;
    private static readonly Device Gpu = new(DeviceType.CUDA, 0);

    private readonly TempFolder _folder = new();
    private readonly WanVideoModel _model;

    public GenerationMemoryTests()
    {
        GoldenModelFolder.Assemble(_folder["model"]);
        _model = WanVideoModel.Open(_folder["model"]);
    }

    [Fact]
    public void What_is_free_is_the_budget_and_a_smaller_one_may_be_named()
    {
        Assert.Equal(10_400 * MiB, On(free: 10_000).Plan([Request()]).Budget);
        Assert.Equal(2_000 * MiB, On(free: 10_000, vram: 2_000).Plan([Request()]).Budget);
        Assert.Equal(10_400 * MiB, On(free: 10_000, vram: 12_000).Plan([Request()]).Budget);
        Assert.Contains("--vram 19.6GiB is more than cuda:0 has: 15.6 GiB", Assert.Throws<InvalidRequestException>(() => On(free: 10_000, vram: 20_000).Plan([Request()])).Message);
    }

    [Theory]
    [InlineData(2, null)]
    [InlineData(1, 3)]
    public void Masks_that_serve_several_steps_are_counted(int every, int? from)
    {
        var request = Request() with { Attention = AttentionExpression.Parse("nabla-0.5"), DenseSteps = from ?? 0, Width = 512, Height = 320, Frames = 9 };
        var frozen = request with { MaskEvery = every, MaskFromStep = from };
        // 3 frames of 4 × 3 blocks; 2 layers of 2 heads, two passes; a word a row.
        Assert.Equal(4L * 2 * 2 * 2 * 36 * 2, Sampling(frozen) - Sampling(request));

        long Sampling(GenerationRequest one) => On(free: 10_000).Plan([one]).Peaks[GenerationStage.Sample];
    }

    [Fact]
    public void A_video_that_does_not_fit_is_refused_with_what_would()
    {
        var request = Request() with { Width = 1920, Height = 1088, Frames = 161 };
        var memory = On(free: 10_000, vram: 1_500);
        var message = Assert.Throws<NablaGenException>(() => memory.Plan([Request(), request])).Message;
        Assert.StartsWith("1920x1088 with 161 frames needs at least ", message);
        Assert.Contains("cuda:0 has 1.5 GiB available (the least of free memory and --vram): use --vram ", message);
        Assert.DoesNotContain('\n', message);

        // Each piece of advice holds: what it names is planned without complaint.
        var words = message.Split(' ', ',');
        string After(string option) => words[Array.IndexOf(words, option) + 1];
        if (words.Contains("--frames"))
        {
            memory.Plan([request with { Frames = int.Parse(After("--frames")) }]);
        }

        memory.Plan([request with { Width = int.Parse(After("--width")), Height = int.Parse(After("--height")) }]);
        On(free: 15_500, vram: ByteSize.Parse(After("--vram")) / MiB).Plan([request]);
    }

    [Fact]
    public void A_full_device_names_a_plan_that_takes_less()
    {
        var clock = new StageClock(null);
        clock.Start(GenerationStage.Sample);
        var memory = On(free: 10_000);
        var request = Request() with { Width = 1920, Height = 1088, Frames = 81 };
        var plan = memory.Plan([request]);
        string Message(Exception error) => Assert.Throws<NablaGenException>(() => memory.Guard<int>(clock, plan, request, () => throw error)).Message;

        var full = Message(NativeErrors.LibTorch("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.6 GiB\nException raised from malloc"));
        Assert.StartsWith($"cuda:0 ran out of memory while sampling: {ByteSize.Text(plan.Peak)} were expected at most: ", full);
        Assert.Matches(": (try --vram [0-9.]+GiB, which|use --)", full);
        Assert.DoesNotContain('\n', full);
        Assert.Equal(full, Message(new CudaException("NVIDIA is out of memory", 2)));
        Assert.Equal(full, Message(new InvalidOperationException("outer", new CudaException("NVIDIA is out of memory", 2))));
        Assert.StartsWith("the machine ran out of memory while sampling: ", Message(NativeErrors.NoMemory()));
        Assert.StartsWith("the machine ran out of memory while sampling: ", Message(NativeErrors.LibTorch("[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: can't allocate memory")));
        Assert.Equal("cuda:0 failed while sampling: CUDA error: an illegal memory access was encountered", Message(NativeErrors.LibTorch("CUDA error: an illegal memory access was encountered\nCUDA kernel errors")));
        Assert.Equal("cuda:0 failed while sampling: cuLaunchKernel failed", Message(new CudaException("cuLaunchKernel failed", 700)));
    }

    [Fact]
    public void What_is_free_is_read_again_when_it_may_have_changed()
    {
        var free = 10_000L;
        var memory = new GenerationMemory(_model, Gpu, ScalarType.BFloat16, false, null, () => new MemoryProbe("made up", free * MiB, 16_000 * MiB));
        Assert.Equal(10_400 * MiB, memory.Plan([Request()]).Budget);
        free = 3_000;
        Assert.Equal(10_400 * MiB, memory.Plan([Request()]).Budget);
        memory.ReadAgain();
        Assert.Equal(3_400 * MiB, memory.Plan([Request()]).Budget);
    }

    [Fact]
    public void Decoding_is_fitted_to_what_is_left()
    {
        var free = 15_000L;
        var memory = new GenerationMemory(_model, Gpu, ScalarType.BFloat16, false, null, () => new MemoryProbe("made up", free * MiB, 16_000 * MiB));
        var request = Request() with { Width = 1024, Height = 1024, Frames = 17 };
        var plan = memory.Plan([request]);
        free = plan.Vae.Bytes / MiB * 2 / 3;
        memory.ReadAgain();
        var latents = request.LatentShape(_model.Latents);
        var less = memory.Refit(plan, latents).Vae;
        Assert.True(less.Bytes < plan.Vae.Bytes, $"{less} after {plan.Vae}");
        // Where nothing fits it is tried all the same: the latents are there.
        free = 1;
        memory.ReadAgain();
        Assert.Same(plan, memory.Refit(plan, latents));
    }

    [Fact]
    public void The_hosts_free_memory_is_what_counts()
    {
        var host = new HostMemory(500 * MiB, 64_000 * MiB);
        var onCpu = new GenerationMemory(_model, CPU, ScalarType.Float32, true, null, null, () => host);
        Assert.InRange(onCpu.Plan([Request()]).Budget, 501 * MiB, 800 * MiB);
        var error = Assert.Throws<NablaGenException>(() => onCpu.Plan([Request() with { Width = 1024, Height = 1024, Frames = 81 }]));
        Assert.Contains("and this machine has 0.", error.Message);
        Assert.Contains(" GiB free: use ", error.Message);
        Assert.Throws<NablaGenException>(() => MemoryCheck.Run([("x", (host.Budget / 4) + 1)], CPU, ScalarType.Float32, host.Budget));
    }

    [Fact]
    public void What_does_not_fit_is_tried_where_somebody_agrees()
    {
        var asked = new List<string>();
        GenerationMemory Memory(bool agrees) => new(_model, CPU, ScalarType.Float32, true, null, null, () => new HostMemory(100 * MiB, 64_000 * MiB))
        {
            Limit = new JobLimit(what =>
            {
                asked.Add(what);
                return agrees;
            }),
        };
        var large = Request() with { Width = 1024, Height = 1024, Frames = 81 };
        Assert.EndsWith(", or --yes to try all the same", Assert.Throws<NablaGenException>(() => Memory(false).Plan([large])).Message);
        var memory = Memory(true);
        var plan = memory.Plan([large]);
        Assert.True(plan.Peak > plan.Budget);
        Assert.Equal(plan.Peak, memory.Plan([large]).Peak);
        Assert.True(memory.PlanDecoding(large.LatentShape(_model.Latents)).Peak > plan.Budget);
        Assert.Equal(2, asked.Count);
    }

    [Fact]
    public void Encodings_and_the_frames_of_tiles_are_counted()
    {
        var large = Request() with { Width = 1024, Height = 1024, Frames = 33 };
        var text = 4L * _model.Transformer.TextTokens * _model.Transformer.TextWidth;
        var few = On(free: 15_000).Plan([Request()]);
        Assert.Equal(2 * text, few.HostBytes);
        var many = On(free: 15_000).Plan([.. Enumerable.Range(0, 1000).Select(i => Request() with { Prompt = $"{i}" })]);
        Assert.Equal((TextToVideo.PromptWindow + 1) * text, many.HostBytes);

        // Tiles are put together on the host, in the VAE's type.
        var needs = MemoryEstimate.Decoding(_model, _model.SizesIn(ScalarType.BFloat16, ScalarType.BFloat16), large.LatentShape(_model.Latents), Gpu);
        Assert.Equal(0, needs.Vae[0].HostBytes);
        Assert.Equal(3L * 33 * 1024 * 1024 * 2, needs.Vae[^1].HostBytes);
        var cpu = MemoryEstimate.Decoding(_model, _model.SizesIn(ScalarType.Float32, ScalarType.Float32), large.LatentShape(_model.Latents), CPU);
        Assert.True(cpu.Vae[^1].HostBytes == 0 && cpu.Vae[^1].Bytes > 3L * 33 * 1024 * 1024 * 4);
    }

    [Fact]
    public void Other_errors_pass()
    {
        var memory = On(free: 10_000);
        var plan = memory.Plan([Request()]);
        foreach (var error in new Exception[] { new NablaGenException("CUDA out of memory is said here, too"), new OperationCanceledException(), NativeErrors.LibTorch("shapes differ"), new IOException() })
        {
            Assert.Same(error, Assert.ThrowsAny<Exception>(() => memory.Guard<int>(new StageClock(null), plan, Request(), () => throw error)));
        }
    }

    [Fact]
    public void The_peak_is_the_most_that_was_seen()
    {
        var free = new Queue<long>([900, 200, 600]);
        var memory = new GenerationMemory(_model, Gpu, ScalarType.BFloat16, false, null, () => new MemoryProbe("made up", free.Dequeue() * MiB, 1000 * MiB));
        Assert.Null(memory.PeakDeviceBytes);
        memory.Sample();
        Assert.Equal(100 * MiB, memory.PeakDeviceBytes);
        memory.Sample();
        memory.Sample();
        Assert.Equal(800 * MiB, memory.PeakDeviceBytes);
    }

    [Fact]
    public void On_the_cpu_all_stays_or_is_refused()
    {
        var memory = new GenerationMemory(_model, CPU, ScalarType.Float32, true, null, null);
        var plan = memory.Plan([Request()]);
        Assert.True(plan is { StreamedLayers: 0, IsTextEncoderOnDevice: true, KeepsBoth: true, SamplingTime: null });
        memory.Sample();
        Assert.Null(memory.PeakDeviceBytes);
        var error = Assert.Throws<NablaGenException>(() => memory.Plan([Request() with { Width = 16_000, Height = 16_000, Frames = 401 }]));
        Assert.StartsWith("16000x16000 with 401 frames needs at least ", error.Message);
        Assert.Contains("and this machine has ", error.Message);
        Assert.DoesNotContain("--vram", error.Message);
    }

    public void Dispose() => _folder.Dispose();

    private GenerationMemory On(long free, long? vram = null) =>
        new(_model, Gpu, ScalarType.BFloat16, keepLoaded: false, vram * MiB, () => new MemoryProbe("made up", free * MiB, 16_000 * MiB));

    private static GenerationRequest Request() => GoldenSampling.Request("dense", steps: 4) with { Width = 128, Height = 128, Seed = 1 };
}
