using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Vae;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>Reads the configurations of the Diffusers library (WanTransformer3DModel, AutoencoderKLWan). Keys without a use here are passed over.</summary>
internal static class DiffusersConfigs
{
    /// <summary>A transformer's: its sizes from the shapes, which were right where a published configuration was not, and the rest from the file.</summary>
    /// <param name="path">The configuration.</param>
    /// <param name="source">The weights, under Wan's own names.</param>
    /// <exception cref="NablaGenException">A value is wrong or contradicts the shapes.</exception>
    public static DitConfig Dit(string path, ITensorSource source)
    {
        using var document = JsonFile.Read(path);
        var fields = new JsonFields(document.RootElement, path);
        var (heads, width) = (fields.Int("num_attention_heads"), fields.Int("attention_head_dim", 128));
        var sizes = ShapeSizes.Dit(source, heads);
        if (heads * width != sizes.Dim)
        {
            throw fields.Error("num_attention_heads", $"heads of width {width} that make {sizes.Dim}, the width of the weights", $"{heads}");
        }

        if (fields.String("qk_norm") is { } norm && norm != "rms_norm_across_heads")
        {
            throw fields.Error("qk_norm", "\"rms_norm_across_heads\"", Line.Key(norm));
        }

        // Diffusers has no text_len: its programs use Wan's 512.
        return sizes with
        {
            TextLen = fields.Int("text_len", 512),
            Eps = fields.Double("eps", 1e-6) is > 0 and var eps ? eps : throw fields.Error("eps", "a number above 0", "another"),
        };
    }

    /// <summary>The share of the timesteps from which on the high-noise expert works, as a pipeline's index says it; null where it does not.</summary>
    /// <param name="path">The index; it need not be there.</param>
    /// <exception cref="NablaGenException">The value is wrong.</exception>
    public static double? Boundary(string path)
    {
        const string Key = "boundary_ratio";
        if (!File.Exists(path))
        {
            return null;
        }

        using var document = JsonFile.Read(path);
        var fields = new JsonFields(document.RootElement, path);
        return fields.IsNull(Key) ? null : fields.Double(Key, double.NaN) switch
        {
            double.NaN => null,
            > 0 and < 1 and var share => share,
            var other => throw fields.Error(Key, "a number between 0 and 1", $"{other}"),
        };
    }

    /// <summary>A VAE's.</summary>
    /// <exception cref="NablaGenException">A value is wrong.</exception>
    public static VaeConfig Vae(string path)
    {
        using var document = JsonFile.Read(path);
        return ModelConfigs.Vae(new JsonFields(document.RootElement, path), widthKey: "base_dim", decoderKey: "decoder_base_dim");
    }
}
