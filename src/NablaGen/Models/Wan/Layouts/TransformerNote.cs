using System.Text;
using System.Text.Json.Nodes;
using NablaGen.Files;
using NablaGen.Models.Wan.Dit;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>
/// The sizes of a transformer as a note in its own file's header, where its shapes don't tell them: how many heads there are, how long a prompt is
/// padded to. A single file then needs no <c>config.json</c> beside it. Other programs pass over the note.
/// </summary>
internal static class TransformerNote
{
    /// <summary>The note's key: in the metadata of safetensors, and among the values of GGUF.</summary>
    public const string Key = "nablagen.config";

    /// <summary>The note that a file needs; null where shapes tell the sizes.</summary>
    /// <param name="dit">The sizes.</param>
    /// <param name="source">The weights.</param>
    public static string? For(DitConfig dit, ITensorSource source)
    {
        try
        {
            return ShapeSizes.Dit(source) == dit ? null : Json(dit).ToJsonString();
        }
        catch (NablaGenException)
        {
            return Json(dit).ToJsonString();
        }
    }

    /// <summary>The sizes that a file's note says; null where it has none.</summary>
    /// <exception cref="NablaGenException">The note is no configuration of a transformer, or not of this one.</exception>
    public static DitConfig? Read(ITensorSource source)
    {
        if (!source.Metadata.TryGetValue(Key, out var text))
        {
            return null;
        }

        using var document = JsonFile.Parse(Encoding.UTF8.GetBytes(text), source.Path, $"{Key} ");
        var said = ModelConfigs.Dit(new JsonFields(document.RootElement, source.Path)) with { LowRank = DitVariant.LowRankOf(source) };
        // What shapes tell, they tell better: a stranger's note may claim any size.
        var shown = ShapeSizes.Dit(source, said.NumHeads);
        return said == shown with { ModelType = said.ModelType, TextLen = said.TextLen, Eps = said.Eps, SparseAlgorithm = said.SparseAlgorithm } ? said : throw new NablaGenException(
            $"{source.Path}: its note {Line.Key(Key)} contradicts the shapes of its tensors: expected {shown.NumLayers} layers of width {shown.Dim}, feed-forward {shown.FfnDim}.");
    }

    /// <summary>The sizes as the authors' <c>config.json</c> has them.</summary>
    public static JsonObject Json(DitConfig dit)
    {
        var config = new JsonObject
        {
            ["_class_name"] = "WanModel",
            ["model_type"] = dit.ModelType,
            ["patch_size"] = new JsonArray(dit.PatchSize.Time, dit.PatchSize.Height, dit.PatchSize.Width),
            ["text_len"] = dit.TextLen,
            ["in_dim"] = dit.InDim,
            ["dim"] = dit.Dim,
            ["ffn_dim"] = dit.FfnDim,
            ["freq_dim"] = dit.FreqDim,
            ["text_dim"] = dit.TextDim,
            ["out_dim"] = dit.OutDim,
            ["num_heads"] = dit.NumHeads,
            ["num_layers"] = dit.NumLayers,
            ["qk_norm"] = dit.QkNorm,
            ["cross_attn_norm"] = dit.CrossAttnNorm,
            ["eps"] = dit.Eps,
        };
        if (dit.SparseAlgorithm is { } sparse)
        {
            config["sparse_algo"] = sparse;
        }

        return config;
    }
}
