namespace NablaGen.Models;

/// <summary>
/// What a generation uses where the user says nothing. The values here are Wan2.1's own (generate.py,
/// wan/configs/shared_config.py); a model folder's <c>nablagen.json</c> may change each.
/// </summary>
public sealed record GenerationDefaults
{
    /// <summary>Width of the video in pixels.</summary>
    public int Width { get; init; } = 832;

    /// <summary>Height of the video in pixels.</summary>
    public int Height { get; init; } = 480;

    /// <summary>Frames, 4n + 1.</summary>
    public int Frames { get; init; } = 81;

    /// <summary>Frames a second.</summary>
    public int Fps { get; init; } = 16;

    /// <summary>Solver steps.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Solver: <c>unipc</c>, <c>dpm++</c> or <c>euler</c>.</summary>
    public string Solver { get; init; } = "unipc";

    /// <summary>Shift of the noise schedule towards more noise; 1 is none.</summary>
    public double Shift { get; init; } = 5;

    /// <summary>Scale of classifier-free guidance; 1 is none.</summary>
    public double Guidance { get; init; } = 5;

    /// <summary>Attention expression, such as <c>dense</c> or <c>nabla-0.7</c>.</summary>
    public string Attention { get; init; } = "dense";

    /// <summary>What the video should not show.</summary>
    public string NegativePrompt { get; init; } =
        "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"
        + "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走";
}
