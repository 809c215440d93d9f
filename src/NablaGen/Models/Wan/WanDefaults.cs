namespace NablaGen.Models.Wan;

/// <summary>
/// What Wan2.1's own programs use where the user says nothing (generate.py, wan/configs/shared_config.py); a model folder's
/// <c>nablagen.json</c> may change each.
/// </summary>
public static class WanDefaults
{
    // What a video should not show: the reference's, as it stands there.
    private const string NegativePrompt =
        "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"
        + "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";

    /// <summary>The values, by the names of a request's fields.</summary>
    public static ModelDefaults Values { get; } = new ModelDefaults([]).With(
        ("width", 832), ("height", 480), ("frames", 81), ("fps", 16), ("steps", 50), ("solver", "unipc"), ("shift", 5), ("guidance", 5),
        ("attention", "dense"), ("negative_prompt", NegativePrompt));
}
