using NablaGen.Cuda;
using NablaGen.Generation;
using NablaGen.Models.Wan;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Memory;

/// <summary>A device that fails in the middle, simulated: one line, nothing half-written, nothing left in memory.</summary>
[Collection(nameof(AloneCollection))]
public sealed class FailingDeviceTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public FailingDeviceTests() => GoldenModelFolder.Assemble(_folder["model"]);

    public static TheoryData<string, string, bool> Faults() => new()
    {
        { "full", "ran out of memory while ", true },
        { "full", "ran out of memory while ", false },
        { "broken", "failed while ", true },
        { "broken", "failed while ", false },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void A_fault_is_one_line_and_no_half_file(string fault, string expected, bool isSampling)
    {
        var model = new FailingModel(WanVideoModel.Open(_folder["model"]));
        using var pipeline = new TextToVideo(model, CPU, ScalarType.Float32);
        pipeline.Generate(Request, _folder["out/first.mp4"]);
        var live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Exception error = fault == "full"
            ? NativeErrors.LibTorch("CUDA out of memory. Tried to allocate 2.00 GiB\nException raised from malloc")
            : new CudaException("Launching rms_norm_rope failed: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered).", 700);

        (model.InLayers, model.InVae) = (isSampling ? error : null, isSampling ? null : error);
        var message = Assert.Throws<NablaGenException>(() => pipeline.Generate(Request, _folder["out/second.mp4"])).Message;
        Assert.Contains(expected + (isSampling ? "sampling" : "decoding"), message);
        Assert.DoesNotContain('\n', message);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        string[] kept = isSampling ? [] : ["second.latents.safetensors"];
        Assert.Equal(
            ["first.json", "first.latents.safetensors", "first.mp4", .. kept],
            Directory.GetFiles(_folder["out"]).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
    }

    public void Dispose() => _folder.Dispose();

    private static GenerationRequest Request { get; } = GoldenSampling.Request("dense", steps: 2) with { Width = 32, Height = 32, Seed = 1 };
}
