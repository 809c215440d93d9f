namespace NablaGen.Generation;

/// <summary>What would fit where a video does not.</summary>
internal static class MemoryAdvice
{
    /// <summary>Finds requests like one that is too large: fewer frames, or smaller frames of the same shape.</summary>
    /// <param name="request">The one that is too large.</param>
    /// <param name="timeStride">Frames come in steps of this.</param>
    /// <param name="sizeStep">Width and height come in steps of this.</param>
    /// <param name="fits">Whether there is a plan for a request.</param>
    /// <returns>Options to give instead, such as "--frames 41"; empty if none helps.</returns>
    public static IReadOnlyList<string> Smaller(GenerationRequest request, int timeStride, int sizeStep, Func<GenerationRequest, bool> fits)
    {
        var advice = new List<string>();
        // More frames take more memory, so halving finds the most that fit: one estimate of a long video takes 0.1 s.
        var (fewer, most) = (1, (request.Frames - 1) / timeStride);
        for (var end = most + 1; fewer < end;)
        {
            var middle = (fewer + end) / 2;
            (fewer, end) = fits(Shorter(middle)) ? (fewer, middle) : (middle + 1, end);
        }

        if (fewer <= most)
        {
            advice.Add($"--frames {Shorter(fewer).Frames}");
        }

        for (var percent = 95; percent >= 10; percent -= 5)
        {
            var smaller = request with { Width = Scaled(request.Width, percent, sizeStep), Height = Scaled(request.Height, percent, sizeStep) };
            if ((smaller.Width, smaller.Height) != (request.Width, request.Height) && fits(smaller))
            {
                advice.Add($"--width {smaller.Width} --height {smaller.Height}");
                break;
            }
        }

        return advice;

        GenerationRequest Shorter(int steps) => request with { Frames = request.Frames - (steps * timeStride) };
    }

    /// <summary>As in "use A, B or C".</summary>
    public static string Of(IReadOnlyList<string> choices) => choices.Count switch
    {
        0 => "no smaller video of this model would fit",
        1 => $"use {choices[0]}",
        _ => $"use {string.Join(", ", choices.SkipLast(1))} or {choices[^1]}",
    };

    private static int Scaled(int side, int percent, int step) => Math.Max(step, side * percent / 100 / step * step);
}
