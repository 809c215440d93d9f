using System.Text.Json.Nodes;
using NablaGen.Files;

namespace NablaGen.Models.Wan;

/// <summary>The colours of previews in <c>nablagen.json</c> (<c>preview</c>).</summary>
internal static class LatentColorMapJson
{
    /// <summary>Reads them.</summary>
    /// <param name="fields">The object.</param>
    /// <param name="channels">The latents' channels.</param>
    /// <exception cref="NablaGenException">A value is wrong, or a key is unknown.</exception>
    public static LatentColorMap Read(JsonFields fields, int channels)
    {
        var map = new LatentColorMap(fields.String("vae") ?? throw fields.Error("vae", "the hash of the VAE's weights", "nothing"), Factors("first"), Factors("later"));
        fields.RefuseOthers();
        return map;

        float[] Factors(string name)
        {
            var factors = fields.Floats(name) ?? [];
            return factors.Length == 3 * (channels + 1)
                ? factors
                : throw fields.Error(name, $"{3 * (channels + 1)} numbers: for each of 3 colours one a channel of the latents ({channels}) and one more", $"{factors.Length}");
        }
    }

    /// <summary>What <see cref="Read"/> reads.</summary>
    public static JsonObject Write(LatentColorMap map) => new()
    {
        ["vae"] = map.Vae,
        ["first"] = List(map.First),
        ["later"] = List(map.Later),
    };

    private static JsonArray List(IEnumerable<float> values) => new([.. values.Select(value => (JsonNode?)JsonValue.Create(value))]);
}
