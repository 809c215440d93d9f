using NablaGen.Attention;
using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Tells the progress of each step, with the mean density so far.</summary>
internal sealed class SamplingProgress(DensityMeter meter, StageClock clock) : ISamplingObserver
{
    /// <summary>The thresholds used, if they were not the expression's.</summary>
    public List<double> Thresholds { get; } = [];

    /// <summary>The steps that the step cache skipped.</summary>
    public List<SkippedStep> Skipped { get; } = [];

    public void OnSkipped(int step, double error) => Skipped.Add(new SkippedStep(step, error));

    public void OnThreshold(int step, double threshold) => Thresholds.Add(threshold);

    public void OnDense(AttentionSite site) => meter.OnDense(site);

    public void OnSparse(AttentionSite site, IKeptBlocks kept) => meter.OnSparse(site, kept);

    public void OnStep(int step, Tensor latents) => clock.Done(step + 1, meter.Mean);
}
