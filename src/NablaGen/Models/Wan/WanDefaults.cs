using NablaGen.Models.Wan.Dit;

namespace NablaGen.Models.Wan;

/// <summary>
/// What Wan's own programs use where the user says nothing (generate.py and wan/configs of Wan2.1 and Wan2.2); a model folder's
/// <c>nablagen.json</c> may change each.
/// </summary>
public static class WanDefaults
{
    /// <summary>The share of the timesteps from which on Wan2.2's high-noise expert of text works.</summary>
    public const double TextBoundary = 0.875;

    /// <summary>The same with pictures.</summary>
    public const double PictureBoundary = 0.9;

    // What a video should not show: the reference's, as it stands there.
    private const string NegativePrompt =
        "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"
        + "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

    // Against a camera that shakes, and one that cuts: what Wan2.1 puts before it for one picture and for two.
    private const string NoShaking = "镜头晃动，";
    private const string NoCutting = "镜头切换，";

    /// <summary>Wan2.1's for text, by the names of a request's fields.</summary>
    public static ModelDefaults Values { get; } = new ModelDefaults([]).With(
        ("width", 832), ("height", 480), ("frames", 81), ("fps", 16), ("steps", 50), ("solver", "unipc"), ("shift", 5), ("guidance", 5),
        ("attention", "dense"), ("negative_prompt", NegativePrompt));

    /// <summary>A model's, by what it is told.</summary>
    /// <param name="dit">Its transformer.</param>
    /// <param name="hasExperts">Whether there are two of these.</param>
    /// <param name="name">The model's folder, whose name tells models of 720 rows from those of 480.</param>
    public static ModelDefaults Of(DitConfig dit, bool hasExperts, string name)
    {
        var isLarge = hasExperts || name.Contains("720P", StringComparison.OrdinalIgnoreCase);
        var sized = isLarge ? Values.With(("width", 1280), ("height", 720)) : Values;
        return (dit.ModelType, hasExperts) switch
        {
            ("i2v", true) => sized.With(("shift", 5), ("steps", 40), ("guidance", 3.5), ("guidance_high", 3.5)),
            (_, true) => sized.With(("shift", 12), ("steps", 40), ("guidance", 3), ("guidance_high", 4)),
            ("i2v", _) => sized.With(("shift", isLarge ? 5 : 3), ("steps", 40), ("negative_prompt", NoShaking + NegativePrompt)),
            ("flf2v", _) => sized.With(("shift", 16), ("guidance", 5.5), ("negative_prompt", NoCutting + NoShaking + NegativePrompt)),
            ("ti2v", _) => Values.With(("width", 1280), ("height", 704), ("frames", 121), ("fps", 24)),
            _ => dit.LowRank > 0 ? sized : Values,
        };
    }
}
