using NablaGen.Denoising;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>The transformer and the VAE of a model, each read when it is first asked for and freed when it is in the way.</summary>
/// <param name="model">The model.</param>
/// <param name="device">Where they are.</param>
/// <param name="dtype">The type of the large matrix products.</param>
/// <param name="keep">Whether they stay for the next video, as far as the plan has room.</param>
internal sealed class LoadedModels(VideoModel model, Device device, ScalarType dtype, bool keep) : IDisposable
{
    private MemoryPlan? _samplerPlan;
    private RankSharing? _sharing;
    private LatentSampler? _sampler;
    private LoraList _loras = LoraList.Empty;
    private VideoDecoder? _decoder;

    /// <summary>Whether none is in memory.</summary>
    public bool IsEmpty => _sampler is null && _decoder is null;

    /// <summary>The transformer with LoRAs merged, with as many layers on the device as the plan has room for.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="loras">The LoRAs.</param>
    /// <param name="clock">Is told where it has to be read.</param>
    /// <param name="sharing">Who holds the layers together that the plan shares out.</param>
    public LatentSampler Sampler(MemoryPlan plan, LoraList loras, StageClock clock, RankSharing? sharing = null)
    {
        sharing = plan.Parts > 1 ? sharing : null;
        if (!plan.KeepsBoth)
        {
            Free(ref _decoder);
        }

        // A larger video than the last may leave room for fewer layers, or none for the prompt; merged weights cannot be parted again.
        if (!_loras.Equals(loras) || _samplerPlan?.ResidentLayers > plan.ResidentLayers || (_samplerPlan?.KeepsPrompt == true && !plan.KeepsPrompt)
            || (_samplerPlan?.KeepsExperts == true && !plan.KeepsExperts) || _sharing != sharing || (sharing is not null && _samplerPlan?.ResidentLayers != plan.ResidentLayers))
        {
            Free(ref _sampler);
        }

        if (_sampler is null)
        {
            clock.Start(GenerationStage.LoadTransformer);
            var transformer = model.WithLoras(loras).LoadTransformer(new ModuleOptions(device, dtype), plan.Placement is { } placement ? placement with { Sharing = sharing } : null);
            if (transformer is IExpertTransformer experts)
            {
                experts.KeepsExperts = plan.KeepsExperts;
            }

            _sampler = new LatentSampler(transformer) { KeepsPrompt = plan.KeepsPrompt };
            (_samplerPlan, _loras, _sharing) = (plan, loras, sharing);
        }

        return _sampler;
    }

    /// <summary>The VAE. What is asked for in float32 is float32 to the end; else it has a type of its own.</summary>
    public VideoDecoder Decoder() => _decoder ??= VideoDecoder.Load(model, device, dtype == ScalarType.Float32 ? dtype : null);

    /// <summary>The transformer's stage is over.</summary>
    public void SamplerIsDone(MemoryPlan plan)
    {
        if (!keep || !plan.KeepsBoth)
        {
            Free(ref _sampler);
        }
    }

    /// <summary>The VAE's stage is over.</summary>
    public void DecoderIsDone(MemoryPlan plan)
    {
        if (!keep || !plan.KeepsBoth)
        {
            Free(ref _decoder);
        }
    }

    /// <summary>Frees what is in memory; it can be asked for again.</summary>
    public void FreeAll()
    {
        Free(ref _sampler);
        Free(ref _decoder);
    }

    /// <inheritdoc/>
    public void Dispose() => FreeAll();

    private void Free<T>(ref T? model)
        where T : class, IDisposable
    {
        if (model is not null)
        {
            model.Dispose();
            model = null;
            DeviceCache.Release(device);
        }
    }
}
