using System.Globalization;
using NablaGen.Files;
using NablaGen.Models;

namespace NablaGen.Denoising;

/// <summary>The step caches by name. One is written as its name, or as its name and threshold: <c>easy:0.05</c>.</summary>
public static class StepCaches
{
    /// <summary>The name of computing every step in full.</summary>
    public const string None = "none";

    /// <summary>With as many steps or fewer nothing can be skipped.</summary>
    public const int FewSteps = 8;

    private static readonly Dictionary<string, Func<double?, StepCacheRun, IStepCache>> Makers = new(StringComparer.Ordinal)
    {
        [None] = (_, _) => new NoStepCache(),
        ["easy"] = (threshold, run) => new EasyCache(threshold ?? EasyCache.DefaultThreshold, run),
        ["tea"] = (threshold, run) => Constants("tea", run.Model) is var known ? new ResidualCache(threshold ?? known.TeaThreshold, run, new TeaCacheRule(known.Tea, run)) : null!,
        ["mag"] = (threshold, run) => Constants("mag", run.Model) is var known ? new ResidualCache(threshold ?? known.MagThreshold, run, new MagCacheRule([known.MagPrompt, known.MagNegative], known.MagSteps, run)) : null!,
    };

    /// <summary>Every name that <see cref="Create"/> takes.</summary>
    public static IReadOnlyCollection<string> Names => Makers.Keys;

    /// <summary>A fresh cache for one pass of a run's steps.</summary>
    /// <param name="text">Name and threshold.</param>
    /// <param name="run">What the passes of the run share.</param>
    /// <exception cref="InvalidRequestException">No cache has that name, or it has no constants for the model.</exception>
    public static IStepCache Create(string text, StepCacheRun run)
    {
        var (name, threshold) = Parse(text);
        return Makers[name](threshold, run);
    }

    /// <summary>Sees that a text names a cache.</summary>
    /// <exception cref="InvalidRequestException">No cache has that name, or the threshold is no number above 0.</exception>
    public static void Check(string text) => _ = Parse(text);

    /// <summary>Sees that a cache can be used.</summary>
    /// <param name="text">Name and threshold.</param>
    /// <param name="model">The transformer.</param>
    /// <param name="steps">Solver steps.</param>
    /// <exception cref="InvalidRequestException">It cannot; the line says why.</exception>
    public static void Check(string text, TransformerTraits model, int steps)
    {
        if (Parse(text).Name == None)
        {
            return;
        }

        if (steps <= FewSteps)
        {
            throw new InvalidRequestException($"step cache '{text}' has no effect with {steps} steps: none of so few can be skipped; leave it out, or use more than {FewSteps}");
        }

        Create(text, new StepCacheRun(model, steps)).Dispose();
    }

    /// <summary>Bytes that a cache keeps from step to step.</summary>
    /// <param name="text">Name and threshold.</param>
    /// <param name="model">The transformer.</param>
    /// <param name="tokens">Tokens of the video.</param>
    /// <param name="passes">Passes a step: two with guidance.</param>
    public static long Memory(string text, TransformerTraits model, long tokens, int passes)
    {
        // EasyCache keeps latents, which are small beside a token's width.
        var (patch, name) = (model.Patch, Parse(text).Name);
        long perToken = name switch
        {
            None => 0,
            "easy" => 4L * model.Channels * patch.Time * patch.Height * patch.Width * 4,
            _ => 2L * model.Width * 4,
        };
        return perToken * tokens * passes;
    }

    // The steps that are computed before any is skipped: ten of fifty.
    internal static int FirstSteps(int steps) => Math.Max(2, (steps + 4) / 5);

    private static (string Name, double? Threshold) Parse(string text)
    {
        var colon = text.IndexOf(':');
        var name = colon < 0 ? text : text[..colon];
        if (!Makers.ContainsKey(name))
        {
            throw new InvalidRequestException($"step cache '{Line.Of(text)}' is not known: use {string.Join(", ", Names)}, or one with its threshold such as easy:0.05");
        }

        if (colon < 0)
        {
            return (name, null);
        }

        return name != None && double.TryParse(text[(colon + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out var threshold) && double.IsFinite(threshold) && threshold > 0
            ? (name, threshold)
            : throw new InvalidRequestException($"step cache '{Line.Of(text)}': expected a threshold above 0, such as easy:0.05");
    }

    // Models of pictures and those of two experts have the same sizes as Wan2.1's 14B and other changes from step to step.
    private static StepCacheConstants Constants(string name, TransformerTraits model) =>
        (model is { GuideChannels: 0, Boundary: null } ? StepCacheConstants.Of(model.Layers, model.Width) : null)
        ?? throw new InvalidRequestException($"step cache '{name}' has constants for Wan2.1's text-to-video 1.3B and 14B alone, not for this model "
            + $"({model.Layers} layers of width {model.Width}{(model.GuideChannels > 0 ? ", told pictures" : "")}{(model.Boundary is null ? "" : ", two experts")}): use easy");
}
