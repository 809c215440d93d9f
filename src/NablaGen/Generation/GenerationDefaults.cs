using System.Collections.Concurrent;
using NablaGen.Attention;
using NablaGen.Files;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Models.Wan;
using NablaGen.Weights.Lora;

namespace NablaGen.Generation;

/// <summary>What a generation by a model uses where the user says nothing: the model's values, read as fields of a request.</summary>
public sealed class GenerationDefaults
{
    private readonly ModelDefaults _model;
    private readonly FieldSource _source;
    private readonly FieldValues _values;
    private readonly ConcurrentDictionary<LoraList, LoraFewSteps?> _fewSteps = [];

    private GenerationDefaults(ModelDefaults model, RequestFieldTable table)
    {
        (_model, Table) = (model, table);
        _source = FieldSource.Defaults(model.Path);
        // What may open a file is read when it is used: who asks for another attention does not miss the model's thresholds.
        _values = table.Read(model.Values.Where(value => !table.FindKey(value.Key, _source).OpensFile), _source).Values;
        // The only rule of all Wan models that a default can break by itself; GenerationRequest.Check knows the model's sizes.
        if (_values.Get(RequestFields.Frames) is { } frames && frames % 4 != 1)
        {
            throw _source.Unexpected(RequestFields.Frames, "4n + 1, such as 81", model.Find(RequestFields.Frames.Key)!.Value);
        }
    }

    /// <summary>Wan2.1's own.</summary>
    public static GenerationDefaults Wan { get; } = Of(WanDefaults.Values);

    /// <summary>The fields.</summary>
    public RequestFieldTable Table { get; }

    /// <summary>Width of the video in pixels.</summary>
    public int Width => Get(RequestFields.Width)!.Value;

    /// <summary>Height of the video in pixels.</summary>
    public int Height => Get(RequestFields.Height)!.Value;

    /// <summary>Frames, 4n + 1.</summary>
    public int Frames => Get(RequestFields.Frames)!.Value;

    /// <summary>Frames a second.</summary>
    public int Fps => Get(RequestFields.Fps)!.Value;

    /// <summary>Solver steps.</summary>
    public int Steps => Get(RequestFields.Steps)!.Value;

    /// <summary>The solver's name.</summary>
    public string Solver => Get(RequestFields.Solver)!;

    /// <summary>Shift of the noise schedule towards more noise; 1 is none.</summary>
    public double Shift => Get(RequestFields.Shift)!.Value;

    /// <summary>Scale of classifier-free guidance; 1 is none.</summary>
    public double Guidance => Get(RequestFields.Guidance)!.Value;

    /// <summary>The self-attention. Reading it may open the file of thresholds that the model folder brings along.</summary>
    /// <exception cref="NablaGenException">It is not one, or its file cannot be read.</exception>
    public AttentionExpression Attention => Get(RequestFields.Attention)!;

    /// <summary>What the video should not show.</summary>
    public string NegativePrompt => Get(RequestFields.NegativePrompt)!;

    /// <summary>Whether the weights were trained for sparse attention.</summary>
    public bool IsTrainedSparse { get; private init; }

    /// <summary>Which pictures the model is told.</summary>
    public PictureTraits Pictures { get; private init; } = PictureTraits.None;

    /// <summary>What a model uses.</summary>
    /// <param name="model">The model.</param>
    /// <exception cref="NablaGenException">Its defaults are wrong.</exception>
    public static GenerationDefaults Of(VideoModel model) => new(model.Defaults, RequestFields.Table) { Pictures = model.Pictures, IsTrainedSparse = model.IsTrainedSparse };

    /// <summary>Reads a model's defaults.</summary>
    /// <param name="model">The model's values, by name.</param>
    /// <param name="table">The fields; null for NablaGen's.</param>
    /// <exception cref="NablaGenException">A name is unknown, or a value is wrong; the line says which, and where.</exception>
    public static GenerationDefaults Of(ModelDefaults model, RequestFieldTable? table = null) => new(model, table ?? RequestFields.Table);

    /// <summary>How LoRAs that were made for few steps are to be sampled; null where none was.</summary>
    /// <param name="loras">The LoRAs.</param>
    /// <exception cref="NablaGenException">The user's own table of them is wrong.</exception>
    public LoraFewSteps? FewStepsOf(LoraList loras) => _fewSteps.GetOrAdd(loras, found => LoraFewSteps.Find(found, Table));

    /// <summary>The default of a field; null for none.</summary>
    public T? Get<T>(TypedField<T> field) => (T?)Find(field);

    /// <inheritdoc cref="Get{T}(TypedField{T})"/>
    public object? Find(RequestField field) => !field.OpensFile ? _values.Find(field)
        : field.IsIn(FieldPlaces.Defaults) && _model.Find(field.Key) is { } value ? field.Read(value, _source)
        : null;

    /// <inheritdoc/>
    public override string ToString() => Line.Of($"{_model}");
}
