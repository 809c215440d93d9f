using System.Text.Json;
using NablaGen.Models.Dit;
using NablaGen.Models.TextEncoder;
using NablaGen.Models.Vae;

namespace NablaGen.Tests;

/// <summary>Reads the configurations in the goldens' metadata.</summary>
internal static class GoldenConfigs
{
    public static DitConfig Dit(string json)
    {
        var c = JsonDocument.Parse(json).RootElement;
        var patch = Ints(c.GetProperty("patch_size"));
        return new DitConfig
        {
            PatchSize = (patch[0], patch[1], patch[2]),
            TextLen = c.GetProperty("text_len").GetInt32(),
            InDim = c.GetProperty("in_dim").GetInt32(),
            Dim = c.GetProperty("dim").GetInt32(),
            FfnDim = c.GetProperty("ffn_dim").GetInt32(),
            FreqDim = c.GetProperty("freq_dim").GetInt32(),
            TextDim = c.GetProperty("text_dim").GetInt32(),
            OutDim = c.GetProperty("out_dim").GetInt32(),
            NumHeads = c.GetProperty("num_heads").GetInt32(),
            NumLayers = c.GetProperty("num_layers").GetInt32(),
            Eps = c.GetProperty("eps").GetDouble(),
        };
    }

    public static TextEncoderConfig TextEncoder(string json)
    {
        var c = JsonDocument.Parse(json).RootElement;
        return new TextEncoderConfig
        {
            Vocab = c.GetProperty("vocab").GetInt32(),
            Dim = c.GetProperty("dim").GetInt32(),
            DimAttn = c.GetProperty("dim_attn").GetInt32(),
            DimFfn = c.GetProperty("dim_ffn").GetInt32(),
            NumHeads = c.GetProperty("num_heads").GetInt32(),
            NumLayers = c.GetProperty("num_layers").GetInt32(),
            NumBuckets = c.GetProperty("num_buckets").GetInt32(),
            SharedPos = c.GetProperty("shared_pos").GetBoolean(),
        };
    }

    public static VaeConfig Vae(string json)
    {
        var c = JsonDocument.Parse(json).RootElement;
        return new VaeConfig
        {
            Dim = c.GetProperty("dim").GetInt32(),
            ZDim = c.GetProperty("z_dim").GetInt32(),
            DimMult = Ints(c.GetProperty("dim_mult")),
            NumResBlocks = c.GetProperty("num_res_blocks").GetInt32(),
            TemporalDownsample = c.GetProperty("temperal_downsample").EnumerateArray().Select(e => e.GetBoolean()).ToArray(),
        };
    }

    private static int[] Ints(JsonElement array) => array.EnumerateArray().Select(e => e.GetInt32()).ToArray();
}
