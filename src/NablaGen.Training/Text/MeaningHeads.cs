using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Training.Text;

/// <summary>
/// Asks a text encoder what a caption says: a query for each object and one for the scene look at its outputs as a transformer's
/// cross-attention does, and what they find is read off by a product. With so little of its own, what it answers must be in the outputs.
/// </summary>
public sealed class MeaningHeads : Module
{
    private const int HeadWidth = 32;

    // The first object, the second, the scene.
    private const int Queries = 3;

    private readonly int _heads;

    [ComponentName(Name = "queries")]
    private readonly Parameter _queries;

    [ComponentName(Name = "k")]
    private readonly AutocastLinear _k;

    [ComponentName(Name = "v")]
    private readonly AutocastLinear _v;

    // One for both objects: red is said the same way of either.
    [ComponentName(Name = "object")]
    private readonly AutocastLinear _object;

    [ComponentName(Name = "scene")]
    private readonly AutocastLinear _scene;

    /// <summary>Heads for an encoder of a width, drawn on the CPU.</summary>
    public MeaningHeads(int width, ModuleOptions options, Generator generator)
        : base(nameof(MeaningHeads))
    {
        ArgumentNullException.ThrowIfNull(options);
        _heads = Math.Max(1, width / HeadWidth);
        _queries = options.Parameter(Queries, width);
        _k = new AutocastLinear(width, width, options, bias: false);
        _v = new AutocastLinear(width, width, options, bias: false);
        _object = new AutocastLinear(width, SceneAnswers.ObjectClasses.Sum(), options);
        _scene = new AutocastLinear(width, SceneAnswers.SceneClasses.Sum(), options);
        RegisterComponents();
        using var noGrad = no_grad();
        foreach (var (name, parameter) in named_parameters())
        {
            using var scope = NewDisposeScope();
            parameter.copy_(name.EndsWith("bias", StringComparison.Ordinal)
                ? zeros(parameter.shape)
                : randn(parameter.shape, generator: generator).Times(name == "queries" ? 1 : Math.Pow(width, -0.5)));
        }
    }

    /// <summary>Answers for captions.</summary>
    /// <param name="encoded">The encoder's outputs, zeros at padding. [B, L, width]</param>
    /// <param name="length">The length that the transformer would see them at, with zeros behind.</param>
    /// <returns>A logit an answer: each object's attributes in a row [B, 2, sum of classes], and the scene's [B, sum of classes].</returns>
    public (Tensor Objects, Tensor Scenes) Ask(Tensor encoded, int length)
    {
        using var scope = NewDisposeScope();
        // There are no biases in between: zeros stay zeros.
        long[] behind = [0, 0, 0, length - encoded.shape[1]];
        var k = Heads(functional.pad(_k.forward(encoded), behind));
        var v = Heads(functional.pad(_v.forward(encoded), behind));
        var q = Heads(_queries.unsqueeze(0));
        var found = functional.scaled_dot_product_attention(q.expand(k.shape[0], -1, -1, -1), k, v).transpose(1, 2).flatten(2);
        return (
            _object.forward(found.narrow(1, 0, 2)).MoveToOuterDisposeScope(), _scene.forward(found.select(1, 2)).MoveToOuterDisposeScope());
    }

    // [B, L, C] → [B, H, L, D]
    private Tensor Heads(Tensor x) => x.unflatten(2, [_heads, -1]).transpose(1, 2);
}
