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
    /// <summary>
    /// Noise levels: the logistic function of a normal number, bent toward noise by <paramref name="shift"/> as sampling bends them. Of as many
    /// equal parts of the distribution as there are levels, each gives one, so that a batch's loss depends less on chance. [count]
    /// </summary>
    /// <param name="count">How many.</param>
    /// <param name="shift">Above 1 for more noise; 1 for none.</param>
    /// <param name="spread">The normal number's standard deviation: above 1 for more of both ends.</param>
    /// <param name="device">Where; the device's own generator draws.</param>
    public static Tensor Sigmas(long count, double shift, double spread, Device device)
    {
        using var scope = NewDisposeScope();
        // Each below its part's upper end, and never 0 or 1, which would be infinitely far out.
        var below = rand([count], device: device).Times_(0.998).Plus_(0.001);
        var place = (ones([count], ScalarType.Float32, device).cumsum(0) - below).Over(count);
        var even = sigmoid(special.erfinv(place.Times(2).Plus(-1)).Times(spread * Math.Sqrt(2)));
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
