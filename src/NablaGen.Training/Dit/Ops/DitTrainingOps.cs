using NablaGen.Attention;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Training.Attention;
using TorchSharp;

namespace NablaGen.Training.Dit.Ops;

/// <summary>Chooses the ops of a training step.</summary>
public static class DitTrainingOps
{
    /// <summary>The environment's choice: <c>kernels</c> (where there are any, which is the default) or <c>libtorch</c>.</summary>
    public const string Variable = "NABLAGEN_TRAINING_PASSES";

    private const string Kernels = "kernels";
    private const string LibTorch = "libtorch";

    /// <summary>What a timed training step is made of.</summary>
    public static TrainingPass Pass { get; } = new(
        Begin, (expression, device, observer) => DifferentiableAttention.Create(expression, device, denseSteps: 0, observer));

    /// <summary>The fastest ops with a gradient for a model, or what the environment asks for.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="options">Where it is trained, and the type of its products.</param>
    /// <exception cref="NablaGenException">The environment asks for neither.</exception>
    public static IDitOps Create(DitConfig config, ModuleOptions options)
    {
        var choice = Environment.GetEnvironmentVariable(Variable);
        if (choice is not (null or "" or Kernels or LibTorch))
        {
            throw new NablaGenException($"{Variable}: expected {Kernels} or {LibTorch}, found \"{choice}\"");
        }

        return choice != LibTorch && options.Device.type == DeviceType.CUDA && CudaDitOps.Fit(config, options.Dtype)
            ? new CudaTrainingOps(options.Device, options.Dtype)
            : new TrainingOps(options.Dtype);
    }

    /// <summary>A transformer in use for latents of one size, its passes with a gradient.</summary>
    /// <param name="model">One of Wan's transformers.</param>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="attention">The self-attention of every layer; stays the caller's.</param>
    public static ITransformerRun Begin(IVideoTransformer model, long[] latents, IAttention attention)
    {
        var wan = (WanModel)model;
        return wan.Begin(latents, attention, Create(wan.Config, wan.Options));
    }
}
