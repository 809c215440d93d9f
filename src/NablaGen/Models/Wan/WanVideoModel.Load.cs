using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan;

/// <content>How the models are loaded.</content>
public sealed partial class WanVideoModel
{
    /// <inheritdoc/>
    public override IPromptTokenizer LoadTokenizer() => new WanTokenizer(this, _files.Tokenizer.Load());

    /// <inheritdoc/>
    public override ITextEncoder LoadTextEncoder(ModuleOptions options) => Load(_files.TextEncoder, new T5Encoder(TextEncoderConfig, options));

    /// <inheritdoc/>
    public override IVideoAutoencoder LoadVae(ModuleOptions options) => Load(_files.Vae, new WanVae(VaeConfig, options));

    /// <inheritdoc/>
    public override IVideoTransformer LoadTransformer(ModuleOptions options, LayerPlacement? placement = null) => _files.HighNoise is { } high
        ? new WanExperts(Transformer, options, isHigh => LoadTransformer(isHigh ? high : _files.Transformer, options, placement), FilesOfTransformer)
        : LoadTransformer(_files.Transformer, options, placement);

    /// <inheritdoc/>
    public override VideoModel WithFormats(TransformerFormats formats) => formats == Formats ? this : new WanVideoModel(this, _files, formats).CheckStored();

    private WanModel LoadTransformer(WeightFile file, ModuleOptions options, LayerPlacement? placement)
    {
        options = Formats.Over(options);
        var streamed = DitConfig.NumLayers - (options.HasPlainEnds ? EndedLayers.Ends : 0);
        if (placement is null || placement.Resident >= streamed)
        {
            return Load(file, new WanModel(DitConfig, options));
        }

        // The checkpoint as a whole is checked before a plan is made.
        using var source = file.Open();
        var layers = WanLayers.Stream(DitConfig, options, placement, (number, layer) => CheckpointLoader.Copy(source.Under(WanModel.LayerPrefix(number)), layer));
        WanModel? model = null;
        try
        {
            model = new WanModel(DitConfig, options, layers);
            CheckpointLoader.Copy(source, model);
            return model;
        }
        catch
        {
            // Nothing stays pinned. The model frees the layers where there is one.
            model?.Dispose();
            layers.Dispose();
            throw;
        }
    }

    // Layers of one file may have matrices in different forms: each counts as their mean.
    private WeightSizes StoredSizes(WeightSizes sizes, ScalarType dtype)
    {
        if (Formats.Matrices != MatrixFormats.Stored)
        {
            return sizes;
        }

        using var source = OpenTransformer();
        using var layer = new WanLayer(DitConfig, ModuleOptions.Meta with { Dtype = dtype });
        var matrices = layer.Matrices().ToList();
        var plain = layer.parameters().Sum(parameter => parameter.NumberOfElements * parameter.element_size());
        var smaller = Enumerable.Range(0, DitConfig.NumLayers).Sum(number => matrices.Sum(pair => pair.Matrix.Bytes
            - StoredMatrix.BytesOf(source.FindStored(WanModel.LayerPrefix(number) + pair.Name), pair.Matrix.Outputs, pair.Matrix.Inputs, dtype)));
        return sizes with { Layer = plain - smaller / DitConfig.NumLayers, StreamedLayer = plain };
    }

    // A flag without effect is an error.
    private WanVideoModel CheckStored()
    {
        if (Formats.Matrices == MatrixFormats.Stored)
        {
            using var source = OpenTransformer();
            using var model = new WanModel(DitConfig, ModuleOptions.Meta);
            if (!model.Matrices().Any(pair => StoredMatrix.Keeps(source.Entries.ContainsKey(pair.Name) ? source.FindStored(pair.Name) : null, pair.Matrix.Inputs)))
            {
                throw new InvalidRequestException($"--weights resident has no effect: {DitPath} has no matrix in fp8 or in GGUF's blocks; leave it out");
            }
        }

        return this;
    }

    private IReadOnlyList<string> FilesOfTransformer()
    {
        using var source = OpenTransformer();
        return source.Files;
    }

    private static T Load<T>(WeightFile file, T module)
        where T : nn.Module
    {
        try
        {
            using var source = file.Open();
            return Load(source, module);
        }
        catch
        {
            module.Dispose();
            throw;
        }
    }

    private static T Load<T>(ITensorSource source, T module)
        where T : nn.Module
    {
        try
        {
            CheckpointLoader.Load(source, module);
            return module;
        }
        catch
        {
            module.Dispose();
            throw;
        }
    }
}
