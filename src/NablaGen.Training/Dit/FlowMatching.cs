using NablaGen.Denoising;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit;

/// <summary>
/// The noise a transformer learns from, in the reference's convention: x = (1 − σ) · video + σ · noise, time 1000 σ, and the velocity
/// noise − video to be found.
/// </summary>
public static class FlowMatching
{
    /// <summary>Noise levels: the logistic function of a normal number, bent toward noise by <paramref name="shift"/> as sampling bends them. [count]</summary>
    /// <param name="count">How many.</param>
    /// <param name="shift">Above 1 for more noise; 1 for none.</param>
    /// <param name="device">Where; the device's own generator draws.</param>
    public static Tensor Sigmas(long count, double shift, Device device)
    {
        using var scope = NewDisposeScope();
        var even = sigmoid(randn([count], device: device));
        return (even.Times(shift) / even.Times(shift - 1).Plus(1)).MoveToOuterDisposeScope();
    }

    /// <summary>Latents, noise and levels → what goes in, at which times, and the velocity that should come out.</summary>
    /// <param name="latents">[B, C, T', h, w]</param>
    /// <param name="noise">Standard normal. [B, C, T', h, w]</param>
    /// <param name="sigmas">[B]</param>
    public static (Tensor Input, Tensor Time, Tensor Velocity) Mix(Tensor latents, Tensor noise, Tensor sigmas)
    {
        using var scope = NewDisposeScope();
        var velocity = noise - latents;
        var input = latents.PlusProduct(velocity, sigmas.view(-1, 1, 1, 1, 1));
        return (input.MoveToOuterDisposeScope(), sigmas.Times(FlowSchedule.TrainTimesteps).MoveToOuterDisposeScope(), velocity.MoveToOuterDisposeScope());
    }
}
