using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>The memory side of a pipeline: its plan, its measurement, and what is said when it runs out.</summary>
/// <param name="model">The model.</param>
/// <param name="device">Where it runs.</param>
/// <param name="dtype">The type of the large matrix products.</param>
/// <param name="keepLoaded">Whether models may stay for the next video.</param>
/// <param name="vram">The most device memory to take, in bytes; null for what is free.</param>
/// <param name="probe">Reads the memory of a CUDA device; null on the CPU.</param>
/// <param name="host">Reads the host's memory; null to ask the system.</param>
internal sealed class GenerationMemory(
    VideoModel model, Device device, ScalarType dtype, bool keepLoaded, long? vram, Func<MemoryProbe>? probe, Func<HostMemory>? host = null)
{
    // What a job that is tried against the plan's advice may take: the advice is at its end.
    private const long Unlimited = long.MaxValue / 4;


    // What this process's CUDA context holds by the time the free memory is first asked for: it is part of the plan, too.
    private const long Context = 400L << 20;

    // An encoding is kept in float32 at most.
    private const int EncodingBytes = 4;

    private readonly Dictionary<LoraList, WeightSizes> _sizesWithLoras = [];
    private WeightSizes? _sizes;
    private MemoryBudget? _budget;

    /// <summary>The most device memory in use so far, all programs' together; null on the CPU.</summary>
    public long? PeakDeviceBytes { get; private set; }

    /// <summary>Is asked before a job that does not fit; null refuses it.</summary>
    public JobLimit? Limit { get; set; }

    /// <summary>Reads the host's memory; null to ask the system.</summary>
    public Func<HostMemory>? Host { get; set; } = host;

    /// <summary>How many GPUs may hold the layers of a request's transformer together; null for 1.</summary>
    public Func<GenerationRequest, int>? PartsOf { get; set; }

    /// <summary>Whether this process has worked on the device, so that its context has grown.</summary>
    public bool HasRun { get; set; }

    private bool IsCuda => probe is not null;

    /// <summary>Reads how much of the device's memory is in use now.</summary>
    public void Sample()
    {
        if (probe?.Invoke() is { } now)
        {
            PeakDeviceBytes = Math.Max(PeakDeviceBytes ?? 0, now.Total - now.Free);
        }
    }

    /// <summary>Plans for videos that are made one after another with the same models.</summary>
    /// <param name="requests">The videos.</param>
    /// <param name="mayShare">Whether GPUs may hold the transformer's layers together.</param>
    /// <exception cref="NablaGenException">One does not fit; the line says what would.</exception>
    public MemoryPlan Plan(IReadOnlyList<GenerationRequest> requests, bool mayShare = true)
    {
        // Rows of one size and kind need the same memory, and a batch has thousands of them.
        var kinds = requests.DistinctBy(one => (one.Width, one.Height, one.Frames, $"{one.Attention}", one.IsGuided, one.StepCache, one.Image is not null, ChangesSizes(one) ? one.Loras : null));
        var needs = kinds.Select(Needs).Aggregate((a, b) => a.Max(b)) with { Encodings = Encodings(requests) };
        var plan = Plan(needs, Budget, mayShare ? requests.Min(request => PartsOf?.Invoke(request) ?? 1) : 1) ?? TriedPlan(needs, Refusal(requests.FirstOrDefault(request => !Fits(request, Budget)) ?? requests[0]));
        return plan with { SamplingTime = Time(requests), BatchesGuidance = requests.All(IsBatched) };
    }

    /// <summary>
    /// Has free memory read again for the next plan. To be called when no model is in memory: a model of this process's would count as
    /// another's.
    /// </summary>
    public void ReadAgain() => _budget = null;

    /// <summary>The same plan, with the VAE decoding in a way that fits what is free now; unchanged where none does.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="latent">The latents' shape. [C, T', h, w]</param>
    public MemoryPlan Refit(MemoryPlan plan, long[] latent) =>
        Plan(MemoryEstimate.Decoding(model, Sizes, latent, device), Budget) is { } now ? plan with { Vae = now.Vae } : plan;

    /// <summary>Plans for decoding alone.</summary>
    /// <param name="latent">The latents' shape. [C, T', h, w]</param>
    /// <exception cref="NablaGenException">It does not fit.</exception>
    public MemoryPlan PlanDecoding(long[] latent)
    {
        var needs = MemoryEstimate.Decoding(model, Sizes, latent, device);
        return Plan(needs, Budget) ?? TriedPlan(
            needs, $"decoding latents of {latent[3]}x{latent[2]} needs at least {ByteSize.Text(MemoryPlanner.LeastBudget(needs))}, and {Free()}");
    }

    // Somebody may know better than the estimate, or have a swap that he can wait for.
    private MemoryPlan TriedPlan(MemoryNeeds needs, string refusal)
    {
        if (Limit is null || !Limit.AgreesToMemory(refusal))
        {
            throw new NablaGenException(Limit is null ? refusal : $"{refusal}, or --yes to try all the same");
        }

        var least = IsCuda ? MemoryPlanner.LeastBudget(needs) : Unlimited;
        return Plan(needs, new MemoryBudget(least, Unlimited)) is { } plan ? plan with { Budget = Budget.Device } : throw new NablaGenException(refusal);
    }

    /// <summary>Runs work, and says in one line what can be done where memory or the device fails.</summary>
    /// <param name="clock">Knows the stage.</param>
    /// <param name="plan">What was planned.</param>
    /// <param name="request">The video; null where it is latents that are decoded.</param>
    /// <param name="work">The work.</param>
    public T Guard<T>(StageClock clock, MemoryPlan plan, GenerationRequest? request, Func<T> work)
    {
        HasRun = true;
        try
        {
            return work();
        }
        catch (Exception error) when (MemoryFault.IsDeviceFull(error))
        {
            throw new NablaGenException($"{device} ran out of memory while {clock.Doing}: {ByteSize.Text(plan.Peak)} were expected at most{Remedy(request, plan)}", error);
        }
        catch (Exception error) when (MemoryFault.IsHostFull(error))
        {
            throw new NablaGenException($"the machine ran out of memory while {clock.Doing}{Remedy(request, plan)}", error);
        }
        catch (Exception error) when (MemoryFault.IsOfDevice(error))
        {
            throw new NablaGenException($"{device} failed while {clock.Doing}: {MemoryFault.Line(error)}", error);
        }
    }

    private WeightSizes Sizes => _sizes ??= model.SizesIn(dtype, VideoModel.DefaultVaeDtype(device));

    // A matrix that a LoRA changes does not stay as its file has it.
    private bool ChangesSizes(GenerationRequest request) => model.Formats.Matrices == MatrixFormats.Stored && request.Loras.Count > 0;

    private WeightSizes SizesOf(GenerationRequest request)
    {
        if (!ChangesSizes(request))
        {
            return Sizes;
        }

        if (!_sizesWithLoras.TryGetValue(request.Loras, out var sizes))
        {
            _sizesWithLoras.Add(request.Loras, sizes = model.WithLoras(request.Loras.FoundNear(model.Path)).SizesIn(dtype, VideoModel.DefaultVaeDtype(device)));
        }

        return sizes;
    }

    private MemoryBudget Budget => _budget ??= FindBudget();

    private MemoryBudget FindBudget()
    {
        var machine = Host?.Invoke() ?? HostMemory.Read();
        if (probe is null)
        {
            return new MemoryBudget(machine.Budget, machine.Budget);
        }

        var (_, free, total) = probe();
        if (vram > total)
        {
            throw new InvalidRequestException($"--vram {ByteSize.Option(vram.Value)} is more than {device} has: {ByteSize.Text(total)}");
        }

        // With its work, the context has grown to what the plan counts.
        var own = HasRun ? MemoryEstimate.CudaRuntime : Context;
        return new MemoryBudget(Math.Min(vram ?? total, Math.Min(free + own, total)), machine.Free);
    }

    private MemoryNeeds Needs(GenerationRequest request)
    {
        var workload = new VideoWorkload(request.LatentShape(model.Latents), request.Attention, request.IsGuided ? 2 : 1, IsBatched(request) ? 2 : 1, request.Image is not null);
        var needs = MemoryEstimate.Of(model, SizesOf(request), workload, device, dtype);
        var (transformer, passes) = (model.Transformer, request.IsGuided ? 2 : 1);
        var kept = StepCaches.Memory(request.StepCache, transformer, Tokens(request), passes);
        var masks = request.MaskEvery > 1 || request.MaskFromStep is not null
            ? FrozenMasks.Memory(transformer.Layers, transformer.Heads * passes, transformer.BlocksOf(workload.Latents), IsCuda)
            : 0;
        return needs with { DitWork = needs.DitWork + MemoryEstimate.Held(kept, device.type) + masks };
    }

    // Those of a window of a batch are made before its videos; equal prompts share one.
    private long Encodings(IReadOnlyList<GenerationRequest> requests)
    {
        var most = requests.Take(TextToVideo.PromptWindow).SelectMany(request => new[] { request.Prompt, request.IsGuided ? request.NegativePrompt : null }).Distinct().Count(text => text is not null);
        return (long)most * model.Transformer.TextTokens * model.Transformer.TextWidth * EncodingBytes;
    }

    private bool IsBatched(GenerationRequest request) => request.IsGuided && GuidanceBatch.Pays(Tokens(request), device.type);

    private long Tokens(GenerationRequest request) => model.Transformer.TokensOf(request.LatentShape(model.Latents));

    // The CPU has nowhere to stream from, and one memory for all.
    private MemoryPlan? Plan(MemoryNeeds needs, MemoryBudget budget, int parts = 1) => MemoryPlanner.Plan(
        IsCuda ? needs : needs with { Runtime = needs.Runtime + needs.Encodings, Encodings = 0 }, budget, keepLoaded, parts) is { } plan && (IsCuda || (plan.IsTextEncoderOnDevice && (plan.StreamedLayers == 0 || plan.Parts > 1))) ? plan : null;

    private bool Fits(GenerationRequest request, MemoryBudget budget) => Plan(Needs(request), budget) is not null;

    private string Refusal(GenerationRequest request)
    {
        var needs = Needs(request);
        var least = IsCuda
            ? MemoryPlanner.LeastBudget(needs)
            : needs.Runtime + new[] { needs.TextEncoderWeights + needs.TextEncoderWork, needs.LeastPictures, needs.AllDitWeights + needs.DitWork, needs.VaeWeights + needs.Vae.Min(choice => choice.Bytes) }.Max();
        if (IsCuda && least <= Budget.Device)
        {
            return $"{Size(request)} needs up to {ByteSize.Text(needs.SlotWeights * needs.Layers)} of the machine's memory for layers that do not fit on {device}, and {ByteSize.Text(Budget.Host)} of it are free";
        }

        var choices = Smaller(request, Budget);
        if (vram is not null && least <= probe?.Invoke().Total)
        {
            choices = [$"--vram {ByteSize.Option(least)}", .. choices];
        }

        return $"{Size(request)} needs at least {ByteSize.Text(least)}, and {Free()}: {MemoryAdvice.Of(choices)}";
    }

    // What fits into a good deal less than what was expected.
    private string Remedy(GenerationRequest? request, MemoryPlan plan)
    {
        if (request is null)
        {
            return "";
        }

        var budget = new MemoryBudget(plan.Peak * 17 / 20, Budget.Host);
        return IsCuda && Plan(Needs(request), budget) is { } smaller
            ? $": try --vram {ByteSize.Option(budget.Device)}, which {Difference(plan, smaller)}"
            : $": {MemoryAdvice.Of(Smaller(request, budget))}";
    }

    private static string Difference(MemoryPlan plan, MemoryPlan smaller) => smaller.ResidentLayers < plan.ResidentLayers
        ? $"keeps {smaller.ResidentLayers + smaller.FixedLayers} of {smaller.Layers + smaller.FixedLayers} transformer layers there"
        : smaller.Vae.Tiling != plan.Vae.Tiling ? $"decodes in {smaller.Vae.Name}" : "leaves more room";

    private IReadOnlyList<string> Smaller(GenerationRequest request, MemoryBudget budget)
    {
        var (patch, latents) = (model.Transformer.Patch, model.Latents);
        return MemoryAdvice.Smaller(
            request, latents.TemporalStride * patch.Time, latents.SpatialStride * Math.Max(patch.Height, patch.Width), smaller => Fits(smaller, budget));
    }

    private string Free() => IsCuda
        ? $"{device} has {ByteSize.Text(Budget.Device)} {(vram is null ? "free" : "available (the least of free memory and --vram)")}"
        : $"this machine has {ByteSize.Text(Budget.Host)} free";

    private static string Size(GenerationRequest request) =>
        $"{request.Width}x{request.Height} with {(request.Frames == 1 ? "1 frame" : $"{request.Frames} frames")}";

    private TimeSpan? Time(IReadOnlyList<GenerationRequest> requests)
    {
        if (probe is null)
        {
            return null;
        }

        var name = probe().Name;
        var times = requests.Select(request => SamplingTime.AtMost(
            model.Transformer, Tokens(request), request.Steps * (request.IsGuided ? 2 : 1), name)).ToArray();
        return times.Any(time => time is null) ? null : times.Aggregate(TimeSpan.Zero, (sum, time) => sum + time!.Value);
    }
}
