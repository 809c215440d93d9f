using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Jobs.Calibration;
using NablaGen.Memory;
using NablaGen.Models.Wan;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Calibration;

public sealed class CalibratorTests : IDisposable
{
    private readonly TempFolder _temp = new();
    private readonly WanVideoModel _folder;

    public CalibratorTests()
    {
        UnevenModel.Assemble(_temp["model"], UnevenModel.Small);
        _folder = WanVideoModel.Open(_temp["model"]);
    }

    [Fact]
    public void Calibrated_thresholds_lose_less_than_one_threshold_of_the_same_density()
    {
        using var pipeline = new TextToVideo(_folder, CPU, ScalarType.Float32);
        var found = new Calibrator(pipeline).Run(Requests(2), new CalibrationTarget(0.3, null), 2, cancellation: TestContext.Current.CancellationToken);
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"density {found.Density} ({found.DensityInUse}), error {found.Error}, global {found.GlobalThreshold}: {found.GlobalError}, weights {string.Join(' ', found.LayerWeights)}");
        Assert.InRange(found.DensityInUse, 0.97 * 0.3, 1.03 * 0.3);
        Assert.True(found.Error < 0.95 * found.GlobalError, $"{found.Error}, {found.GlobalError}");
        Assert.Equal(1, found.LayerWeights.Sum(), 1e-4);
        Assert.Equal((3, 4), (found.Thresholds.Layers, found.Thresholds.Heads));
        Assert.Equal([1, 4], found.MeasuredSteps);

        // On noise and a prompt that were not measured, in the latents that come out.
        var other = Request("an orange triangle shrinks", seed: 99);
        var dense = Sample(other, AttentionExpression.Dense, out _);
        var calibrated = Distance(Sample(other, AttentionExpression.Nabla(found.Thresholds, "x"), out var density), dense);
        var global = Distance(Sample(other, AttentionExpression.Nabla(found.GlobalThreshold), out var globalDensity), dense);
        TestContext.Current.TestOutputHelper!.WriteLine($"latents: {calibrated} at {density}, {global} at {globalDensity}");
        Assert.InRange(density, 0.9 * globalDensity, 1.03 * globalDensity);
        Assert.True(calibrated < global, $"{calibrated}, {global}");
    }

    [Fact]
    public void An_error_is_met_and_a_smaller_one_takes_more()
    {
        using var pipeline = new TextToVideo(_folder, CPU, ScalarType.Float32, keepLoaded: true);
        var calibrator = new Calibrator(pipeline);
        var rough = calibrator.Run(Requests(1), new CalibrationTarget(null, 0.2), 1, cancellation: TestContext.Current.CancellationToken);
        var fine = calibrator.Run(Requests(1), new CalibrationTarget(null, 0.05), 1, cancellation: TestContext.Current.CancellationToken);
        Assert.InRange(rough.Error, 0.15, 0.205);
        Assert.InRange(fine.Error, 0.03, 0.0505);
        Assert.True(rough.Density < fine.Density, $"{rough.Density}, {fine.Density}");
        Assert.True(fine.Error < fine.GlobalError);

        // The same again, to the digit.
        var again = calibrator.Run(Requests(1), new CalibrationTarget(null, 0.05), 1, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(fine.Thresholds, again.Thresholds);
    }

    [Theory]
    [InlineData(0.05, 1, "above 0.083, one of 12 blocks a row")]
    [InlineData(1.5, 1, "above 0 and below 1")]
    [InlineData(0.3, 7, "from 1 to the run's 6, found 7")]
    public void What_cannot_be_is_refused_before_the_work(double density, int steps, string expected)
    {
        using var pipeline = new TextToVideo(_folder, CPU, ScalarType.Float32);
        var error = Assert.Throws<InvalidRequestException>(() => new Calibrator(pipeline).Run(Requests(1), new CalibrationTarget(density, null), steps));
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void It_stops_when_cancelled()
    {
        using var pipeline = new TextToVideo(_folder, CPU, ScalarType.Float32);
        using var source = new CancellationTokenSource();
        var progress = new CancelAt(GenerationStage.Measure, source);
        Assert.Throws<OperationCanceledException>(() =>
            new Calibrator(pipeline).Run(Requests(1), new CalibrationTarget(0.3, null), 1, progress, source.Token));
    }

    [Theory]
    [InlineData(16, 3, new[] { 2, 8, 13 })]
    [InlineData(1, 1, new[] { 0 })]
    [InlineData(4, 4, new[] { 0, 1, 2, 3 })]
    public void Measured_steps_are_spread(int steps, int measured, int[] expected) => Assert.Equal(expected, Calibrator.MeasuredSteps(steps, measured));

    public void Dispose() => _temp.Dispose();

    private GenerationRequest[] Requests(int count) => [.. CalibrationPrompts.Default.Take(count).Select((prompt, i) => Request(prompt, i))];

    private GenerationRequest Request(string prompt, long seed) => new PartialRequest { Prompt = prompt, Seed = seed }.ToRequest(GenerationDefaults.Of(_folder.Defaults));

    private Tensor Sample(GenerationRequest request, AttentionExpression attention, out double density)
    {
        using var pipeline = new TextToVideo(_folder, CPU, ScalarType.Float32);
        var prepared = pipeline.Prepare([request]).Single();
        using var sampler = new LatentSampler(_folder.LoadTransformer(ModuleOptions.Cpu));
        var statistics = new Meter();
        var latents = sampler.Sample(
            (request with { Attention = attention }).Sampling, LatentSampler.Noise(request.LatentShape(_folder.Latents), request.Seed), prepared.Conditioning,
            statistics);
        density = statistics.Kept.Mean!.Value;
        return latents;
    }

    private static double Distance(Tensor a, Tensor b) => ((a - b).norm() / b.norm()).item<float>();

    private sealed class Meter : ISamplingObserver
    {
        public DensityMeter Kept { get; } = new();

        public void OnDense(AttentionSite site) => Kept.OnDense(site);

        public void OnSparse(AttentionSite site, IKeptBlocks kept) => Kept.OnSparse(site, kept);

        public void OnStep(int step, Tensor latents)
        {
        }
    }

    private sealed class CancelAt(GenerationStage stage, CancellationTokenSource source) : IGenerationProgress
    {
        public void OnPlan(MemoryPlan plan)
        {
        }

        public void OnStage(GenerationStage now, int units)
        {
            if (now == stage)
            {
                source.Cancel();
            }
        }

        public void OnProgress(int done, double? density)
        {
        }
    }
}
