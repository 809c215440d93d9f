using NablaGen.Models.Wan.Layouts;

namespace NablaGen.Models.Wan;

/// <summary>Where the usual Wan models are on a hub, and which of a repository's files a model needs.</summary>
internal static class WanDownloads
{
    private const string Apache = "apache-2.0";
    private const string Comfy21 = "Comfy-Org/Wan_2.1_ComfyUI_repackaged";
    private const string Comfy22 = "Comfy-Org/Wan_2.2_ComfyUI_Repackaged";
    private const string Quantised = "city96/Wan2.1-T2V-14B-gguf";

    private static readonly string[] Others = ["text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors", "vae/wan_2.1_vae.safetensors"];

    /// <summary>The models with short names.</summary>
    public static IReadOnlyList<ModelDownload> All { get; } =
    [
        Official("wan2.1-1.3b", "text to video", "Wan-AI/Wan2.1-T2V-1.3B"),
        Official("wan2.1-14b", "text to video", "Wan-AI/Wan2.1-T2V-14B"),
        Official("wan2.1-i2v-480p", "a picture to video, 14B", "Wan-AI/Wan2.1-I2V-14B-480P"),
        Official("wan2.1-i2v-720p", "a picture to video, 14B", "Wan-AI/Wan2.1-I2V-14B-720P"),
        Official("wan2.1-flf2v", "first and last frame to video, 14B", "Wan-AI/Wan2.1-FLF2V-14B-720P"),
        Official("wan2.2-t2v", "text to video, two experts of 14B", "Wan-AI/Wan2.2-T2V-A14B"),
        Official("wan2.2-i2v", "a picture to video, two experts of 14B", "Wan-AI/Wan2.2-I2V-A14B"),
        Official("wan2.2-5b", "text and picture to video", "Wan-AI/Wan2.2-TI2V-5B"),
        Official("wan2.1-14b-nabla", "text to video, fine-tuned with nabla-0.7", "ai-forever/Wan2.1-T2V-14B-NABLA-0.7"),
        new("wan2.1-1.3b-comfy", "text to video, ComfyUI's files, umT5 in scaled fp8", Apache, [Comfy(Comfy21, ["diffusion_models/wan2.1_t2v_1.3B_bf16.safetensors", .. Others])]),
        new("wan2.1-14b-fp8", "text to video, ComfyUI's files in scaled fp8", Apache, [Comfy(Comfy21, ["diffusion_models/wan2.1_t2v_14B_fp8_scaled.safetensors", .. Others])]),
        new("wan2.1-14b-q4", "text to video, GGUF Q4_K_M, umT5 in scaled fp8", Apache,
            [new(Quantised, new Dictionary<string, string> { ["wan2.1-t2v-14b-Q4_K_M.gguf"] = "diffusion_models/wan2.1-t2v-14b-Q4_K_M.gguf" }), Comfy(Comfy21, Others)]),
        new("wan2.2-t2v-fp8", "text to video, two experts of 14B in scaled fp8, ComfyUI's files", Apache,
            [Comfy(Comfy22, ["diffusion_models/wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors", "diffusion_models/wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors", .. Others])]),
    ];

    /// <summary>The files of a repository that a model needs, in its layout; null where it has none that is known.</summary>
    /// <param name="paths">All paths in it.</param>
    public static IReadOnlyList<string>? Needed(IReadOnlyList<string> paths)
    {
        var all = paths.ToHashSet(StringComparer.Ordinal);
        return all.Contains(DiffusersLayout.Index) ? Chosen(all, DiffusersLayout.Needs)
            : all.Contains(OfficialLayout.TransformerFile) || all.Contains(OfficialLayout.TransformerFile + ".index.json")
                || all.Any(path => path.StartsWith(OfficialLayout.HighNoiseFolder + "/", StringComparison.Ordinal)) ? Chosen(all, OfficialLayout.Needs)
            : null;
    }

    // Of each piece's forms the first that is there, and of weights in shards all of them.
    private static List<string> Chosen(HashSet<string> all, IEnumerable<string[]> pieces)
    {
        var chosen = new List<string>();
        foreach (var forms in pieces)
        {
            if (forms.FirstOrDefault(all.Contains) is not { } form)
            {
                continue;
            }

            chosen.Add(form);
            const string Index = ".safetensors.index.json";
            if (form.EndsWith(Index, StringComparison.Ordinal))
            {
                var stem = form[..^Index.Length] + "-";
                chosen.AddRange(all.Where(path => path.StartsWith(stem, StringComparison.Ordinal) && path.EndsWith(".safetensors", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
            }
        }

        return chosen;
    }

    private static ModelDownload Official(string name, string about, string repository) => new(name, about, Apache, [new(repository, new Dictionary<string, string>())]);

    // ComfyUI's repositories keep below split_files/ what lies below models/ on a user's disk.
    private static DownloadSource Comfy(string repository, params string[] files) => new(repository, files.ToDictionary(file => "split_files/" + file));
}
