using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Memory;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <content>One video on several GPUs: rank 0 does all but a part of the sampling and of the decoding, and the others help with those.</content>
public sealed partial class TextToVideo
{
    // With two parts, four layers that are shared out take no more than these whole.
    private const int MostBesideSlots = 4;

    /// <summary>The ranks that sample together, each a process with this model; null for one GPU. Stays the caller's.</summary>
    public ICommunicator? World { get; set; }

    /// <summary>How the video is split over the ranks; null for guidance on two halves where there are two, and heads within each.</summary>
    internal RankSplit? Split { get; set; }

    /// <summary>Reads the host's memory; null to ask the system.</summary>
    internal Func<HostMemory>? Host { set => _memory.Host = value; }

    /// <summary>How many ranks will make the videos where <see cref="World"/> comes later, for their recipes; 1 for this process alone.</summary>
    internal int Ranks { get; set; } = 1;

    /// <summary>Is called before rank 0 tells the others of a prepared request, which they may have to be called to; null for nothing.</summary>
    internal Action? Calling { get; set; }

    /// <summary>Is called once the others have done their part of it, or are told that there is none left; null for nothing.</summary>
    internal Action? Released { get; set; }

    /// <summary>Sees that a request's model and size can be split over ranks.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="ranks">How many there are.</param>
    /// <param name="split">How; null for <see cref="RankSplit.Of"/>.</param>
    /// <exception cref="NablaGenException">It cannot; the line says why.</exception>
    internal void CheckSplit(GenerationRequest request, int ranks, RankSplit? split = null)
    {
        var (of, traits) = (split ?? SplitOf(request, ranks), model.Transformer);
        of.Check(traits.Heads, traits.LowRank);
        _ = new TokenSplit(traits.LayoutOf(request.LatentShape(model.Latents)), of.Heads, traits.HasFrameTimes);
    }

    /// <summary>Helps rank 0 with a video for which it calls <c>Generate</c> or <c>Measure</c>. Returns once this rank has done its part; no file is written.</summary>
    /// <param name="request">The same request; rank 0's seed counts.</param>
    /// <param name="cancellation">Stops between two layers, and between latent frames.</param>
    /// <exception cref="NablaGenException">Something the user can mend, or another rank has ended.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Assist(GenerationRequest request, CancellationToken cancellation = default)
    {
        var world = World ?? throw new InvalidOperationException("there is nobody to assist");
        var clock = Clock(null);
        request = WithFoundLoras(request);
        Check([request], clock, cancellation);
        var plan = Plan([request], clock);
        var (seed, conditioning) = ConditioningBytes.Read(world.Share([], isPatient: true)[0]);
        using (conditioning)
        {
            _memory.Guard(clock, plan, request, () =>
            {
                using var scope = NewDisposeScope();
                var (latents, isSound) = Sampled(request with { Seed = seed }, conditioning, plan, new SamplingObservers(), clock, cancellation);
                _models.SamplerIsDone(plan);
                if (isSound)
                {
                    AssistDecoding(world, latents, plan, cancellation);
                }

                return true;
            });
        }
    }

    // Rank 0 may have much to write before it comes to each latent frame.
    private void AssistDecoding(ICommunicator world, Tensor latents, MemoryPlan plan, CancellationToken cancellation)
    {
        if (SlicedDecoding.Agree(world, latents.shape[2], plan.Vae.Tiling) is not { } ranks)
        {
            return;
        }

        if (ranks.HasPart)
        {
            _models.Decoder().Assist(latents, ranks, cancellation);
            _models.DecoderIsDone(plan);
        }
        else
        {
            for (var frame = 0L; frame < latents.shape[1]; frame++)
            {
                ranks.Collect(null, latents.shape[2]);
            }
        }

        // A rank may leave once rank 0 has received what it sent.
        world.Barrier(isPatient: true);
    }

    // What the others need of rank 0.
    private void Tell(PreparedRequest prepared)
    {
        Calling?.Invoke();
        World?.Share(ConditioningBytes.Write(prepared.Request.Seed, prepared.Conditioning), isPatient: true);
    }

    // Whether the latents are finite is rank 0's to say, so that all go on or none does.
    private (Tensor Latents, bool IsSound) Sampled(
        GenerationRequest request, GuidedConditioning conditioning, MemoryPlan plan, ISamplingObserver observer, StageClock clock, CancellationToken cancellation)
    {
        plan = Agreed(plan, request);
        var sampler = _models.Sampler(plan, request.Loras, clock, World is null ? null : RankSharing.Of(World, Split ?? SplitOf(request, World.Size)));
        (sampler.World, sampler.Split) = (World, Split);
        // Reading a model takes one rank longer than another.
        World?.Barrier(isPatient: true);
        clock.Start(GenerationStage.Sample, request.Steps);
        using var noise = LatentSampler.Noise(request.LatentShape(model.Latents), request.Seed);
        // Ranks that see no observer would choose for themselves.
        var latents = sampler.Sample(request.Sampling, noise, conditioning, observer, plan.BatchesGuidance && World is null, cancellation);
        // Also waits for the device: a rank may leave once all have received what it sent.
        var isSound = latents.isfinite().all().item<bool>();
        if (plan.Parts > 1)
        {
            // On all ranks or on none: those that keep it would wait for none of its layers the next time.
            _models.SamplerIsDone(plan);
        }

        return (latents, World is null ? isSound : World.Share([isSound ? (byte)1 : (byte)0])[0][0] != 0);
    }

    // Ranks that hold layers together all hold the same ones, as many whole as the one with the least room. Where one cannot, each does as it would alone.
    private MemoryPlan Agreed(MemoryPlan plan, GenerationRequest request)
    {
        if (World is null)
        {
            return plan;
        }

        var all = World.Share([.. BitConverter.GetBytes(plan.ResidentLayers), .. BitConverter.GetBytes(plan.Parts)], isPatient: true)
            .Select(told => (Resident: BitConverter.ToInt32(told), Parts: BitConverter.ToInt32(told, sizeof(int)))).ToArray();
        var parts = all.Max(one => one.Parts);
        if (parts == 1)
        {
            return plan;
        }

        if (all.Any(one => one.Parts == 1 && one.Resident < plan.Layers))
        {
            return plan.Parts == 1 ? plan : _memory.Plan([request], mayShare: false);
        }

        // Beside its part of the others, a GPU that had room for all has two slots.
        var resident = Math.Min(all.Min(one => one.Resident), Math.Max(0, plan.Layers - MostBesideSlots));
        return plan with { ResidentLayers = resident, Parts = parts, Slots = MemoryPlanner.Slots, KeepsBoth = false, KeepsAll = false, KeepsPrompt = false, KeepsExperts = false };
    }

    private int RankCount => World?.Size ?? Ranks;

    private string Where(GenerationRequest request)
    {
        var ranks = RankCount;
        return ranks == 1 ? device.ToString() : $"{ranks} × {device.type.ToString().ToLowerInvariant()} ({Split ?? SplitOf(request, ranks)})";
    }

    private static RankSplit SplitOf(GenerationRequest request, int ranks) =>
        RankSplit.Of(ranks, request.Sampling.Guidance, request.Sampling.GuidanceHigh, request.IsGuided);
}
