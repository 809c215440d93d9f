using NablaGen.Weights;

namespace NablaGen.Models.Wan.Converting;

/// <summary>A layout that a whole model can be written in.</summary>
internal interface IFolderWriter
{
    /// <summary>The layout's name.</summary>
    string Name { get; }

    /// <summary>The number formats that programs which read the layout know.</summary>
    IReadOnlyList<string> Formats { get; }

    /// <summary>The files of weights.</summary>
    /// <param name="model">The model.</param>
    /// <param name="format">The number format of transformer and text encoder; the VAE and the image encoder keep their own.</param>
    /// <param name="cancellation">Stops the making of tensors.</param>
    IEnumerable<FolderPart> Parts(WanVideoModel model, string format, CancellationToken cancellation);

    /// <summary>Writes what is no weights: configurations and the tokenizer.</summary>
    /// <param name="model">The model.</param>
    /// <param name="folder">The folder, in which the weights are already.</param>
    /// <exception cref="NablaGenException">The tokenizer is in no form that the layout has.</exception>
    void WriteOthers(WanVideoModel model, string folder);
}

/// <summary>A file of weights to be written.</summary>
/// <param name="File">Its path in the folder, with slashes.</param>
/// <param name="Open">Opens what it is made of.</param>
/// <param name="Tensors">The tensors that are made of that.</param>
/// <param name="HasShards">Whether the layout takes it in shards.</param>
internal sealed record FolderPart(string File, Func<ITensorSource> Open, Func<ITensorSource, IEnumerable<ConvertedTensor>> Tensors, bool HasShards);
