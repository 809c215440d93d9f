using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation.Conditioning;
using NablaGen.Memory;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <content>The stages: what the model is told, sampling, decoding.</content>
public sealed partial class TextToVideo
{
    private PreparedRequest[] Condition(
        IReadOnlyList<GenerationRequest> requests, MemoryPlan plan, StageClock clock, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        if (!plan.KeepsAll && (plan.IsTextEncoderOnDevice || requests.Any(request => request.Image is not null)))
        {
            _models.FreeAll();
        }

        var drafts = requests.Select(request => new ConditioningDraft(request)).ToArray();
        try
        {
            var options = plan.IsTextEncoderOnDevice ? _options : _options with { Device = CPU };
            return _memory.Guard(clock, plan, requests[0], () =>
            {
                foreach (var conditioner in _conditioners)
                {
                    // Only the text encoder is so large that it may have to stay on the CPU.
                    conditioner.AddTo(drafts, conditioner is TextConditioner ? options : _options, plan, clock, cancellation);
                }

                return drafts.Select(draft => new PreparedRequest(draft.Request, RecipeOf(draft.Request, cancellation), draft.Conditioning)).ToArray();
            });
        }
        catch
        {
            foreach (var draft in drafts)
            {
                draft.Dispose();
            }

            throw;
        }
        finally
        {
            DeviceCache.Release(device);
        }
    }

    private GenerationResult Generate(
        PreparedRequest prepared, string? output, string? latentsPath, MemoryPlan plan, ISamplingObserver? observer, StageClock clock,
        CancellationToken cancellation) => _memory.Guard(clock, plan, prepared.Request, () =>
    {
        using var scope = NewDisposeScope();
        var meter = new DensityMeter();
        var seen = new SamplingProgress(meter, clock);
        // Who watches wants to see each pass by itself.
        var watched = plan with { BatchesGuidance = plan.BatchesGuidance && observer is null };
        var forecast = Forecast(prepared.Request, watched, clock);
        var latents = Sample(prepared, watched, new SamplingObservers(observer, seen, forecast), clock, cancellation);
        var recipe = seen.Thresholds.Count == 0 ? prepared.Recipe : prepared.Recipe with { Thresholds = seen.Thresholds };
        var kept = new KeptLatents(latentsPath, latents, recipe, clock);
        kept.Save();
        try
        {
            var flat = Decode(latents, recipe, output, plan, clock, cancellation);
            return Finish(output, kept.Path, recipe, meter.Mean, flat, clock, seen.Skipped);
        }
        catch
        {
            // Sampling is the dear part.
            kept.SaveElsewhere();
            throw;
        }
    });

    private Tensor Sample(
        PreparedRequest prepared, MemoryPlan plan, ISamplingObserver observer, StageClock clock, CancellationToken cancellation)
    {
        var request = prepared.Request;
        cancellation.ThrowIfCancellationRequested();
        try
        {
            var (latents, isSound) = Sampled(request, prepared.Conditioning, plan, observer, clock, cancellation);
            if (isSound)
            {
                return latents;
            }

            Released?.Invoke();
            throw new NablaGenException($"the latents contain NaN or infinity after sampling with {request.Solver}, {request.Steps} steps and guidance {request.Guidance} in "
                    + $"{DtypeName(dtype)}{PrecisionChoice.Said(model.Formats)}, so no video was made: try {PrecisionChoice.Instead(model.Formats, dtype)}");
        }
        finally
        {
            _models.SamplerIsDone(plan);
        }
    }

    // Gives the frames that came out in a single colour.
    private IReadOnlyList<int> Decode(Tensor latents, Recipe recipe, string? output, MemoryPlan plan, StageClock clock, CancellationToken cancellation)
    {
        clock.Start(GenerationStage.Decode, recipe.Frames);
        cancellation.ThrowIfCancellationRequested();
        plan = _models.IsEmpty ? Memory.Refit(plan, latents.shape) : plan;
        var decoder = _models.Decoder();
        try
        {
            using var video = VideoOutput.Open(output, recipe, cancellation);
            var ranks = World is null ? null : SlicedDecoding.Agree(World, latents.shape[2], plan.Vae.Tiling);
            if (ranks is null)
            {
                Released?.Invoke();
            }

            var flat = decoder.Decode(latents, frames =>
            {
                video.Write(frames);
                clock.Done(video.FramesWritten, null);
            }, plan.Vae.Tiling, ranks, cancellation);
            if (ranks is not null)
            {
                World!.Barrier(isPatient: true);
                Released?.Invoke();
            }

            video.Complete();
            return flat;
        }
        finally
        {
            _models.DecoderIsDone(plan);
        }
    }

    private GenerationResult Finish(
        string? output, string? latentsPath, Recipe recipe, double? density, IReadOnlyList<int> flatFrames, StageClock clock,
        IReadOnlyList<SkippedStep>? skipped = null)
    {
        using var process = Process.GetCurrentProcess();
        var result = new GenerationResult(output ?? "", latentsPath, recipe, density, clock.Finish(), process.PeakWorkingSet64)
        {
            FlatFrames = flatFrames,
            SkippedSteps = skipped ?? [],
            PeakDeviceMemoryBytes = _memory.PeakDeviceBytes,
        };
        if (output is not null)
        {
            ResultFile.Save(output, result);
        }

        return result;
    }

    private static string DtypeName(ScalarType dtype) => dtype.ToString().ToLowerInvariant();
}
