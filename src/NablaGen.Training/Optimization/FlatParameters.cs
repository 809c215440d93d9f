using NablaGen.Tensors;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Training.Optimization;

/// <summary>
/// A model's parameters as one float32 vector, the master weights, so that the optimiser's work is a few operations on it instead of a
/// few hundred a step. The modules' parameters become views: those in float32 of the vector itself, those in 16 bits of a copy that
/// <see cref="Publish"/> refreshes.
/// </summary>
public sealed class FlatParameters : IDisposable
{
    // Each parameter begins at a multiple of this, as kernels that read 16 bytes at once want it.
    private const long Alignment = 64;

    private readonly List<(string Name, Parameter Parameter, long Start)> _items = [];
    private readonly Tensor _gap;
    private readonly Tensor? _halves;
    private readonly int _halfCount;

    /// <summary>Takes over the parameters of modules on one device; they require gradients from now on.</summary>
    /// <param name="modules">The modules, each with what goes before its parameters' names.</param>
    public FlatParameters(params (string Prefix, nn.Module Module)[] modules)
    {
        var all = modules.SelectMany(pair => pair.Module.named_parameters().Select(item => (Name: pair.Prefix + item.name, item.parameter)))
            // Those in 16 bits first: they are one stretch, to be copied at once.
            .OrderBy(item => item.parameter.dtype == ScalarType.Float32 ? 1 : 0)
            // Those of one shape side by side: a batch of matrices.
            .ThenBy(item => string.Join(',', item.parameter.shape), StringComparer.Ordinal).ToList();
        var device = all[0].parameter.device;
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        Count = all.Sum(item => Aligned(item.parameter.numel()));
        _gap = zeros([Alignment], ScalarType.Float32, device).DetachFromDisposeScope();
        Master = zeros([Count], ScalarType.Float32, device).DetachFromDisposeScope();
        var halves = all.Where(item => item.parameter.dtype != ScalarType.Float32).ToList();
        _halfCount = halves.Count;
        HalfLength = halves.Sum(item => Aligned(item.parameter.numel()));
        _halves = HalfLength == 0 ? null : zeros([HalfLength], halves[0].parameter.dtype, device).DetachFromDisposeScope();

        long start = 0;
        foreach (var (name, parameter) in all)
        {
            var count = parameter.numel();
            var home = parameter.dtype == ScalarType.Float32 ? Master : _halves!;
            Master.narrow(0, start, count).copy_(parameter.flatten());
            var view = home.narrow(0, start, count).view(parameter.shape);
            view.copy_(parameter);
            parameter.requires_grad = false;
            parameter.set_(view);
            parameter.requires_grad = true;
            _items.Add((name, parameter, start));
            start += Aligned(count);
        }
    }

    /// <summary>Length of the vector, N in shapes: the weights, and zeros that align them.</summary>
    public long Count { get; }

    /// <summary>The first weights, those that are in 16 bits in the modules; 0 where all is float32.</summary>
    public long HalfLength { get; }

    /// <summary>The master weights, float32. [N]</summary>
    public Tensor Master { get; }

    /// <summary>Each parameter's name, shape and place in the vector.</summary>
    public IEnumerable<(string Name, long[] Shape, long Start)> Items => _items.Select(item => (item.Name, item.Parameter.shape, item.Start));

    /// <summary>The gradient of a loss as one vector, float32. [] → [N]</summary>
    /// <exception cref="InvalidOperationException">A parameter takes no part in the loss.</exception>
    public Tensor Gradient(Tensor loss)
    {
        using var scope = NewDisposeScope();
        var gradients = autograd.grad([loss], [.. _items.Select(item => (Tensor)item.Parameter)]);
        using var noGrad = no_grad();
        if (_halfCount == 0)
        {
            return Join(gradients).MoveToOuterDisposeScope();
        }

        var first = Join(gradients.Take(_halfCount)).to_type(ScalarType.Float32);
        return (_halfCount == _items.Count ? first : cat([first, Join(gradients.Skip(_halfCount))])).MoveToOuterDisposeScope();
    }

    /// <summary>Has the modules see the master weights; call it after they change.</summary>
    public void Publish()
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _halves?.copy_(Master.narrow(0, 0, HalfLength));
    }

    /// <summary>Has the modules use other weights until the result is disposed of, such as the averaged ones. [N]</summary>
    public IDisposable Lend(Tensor weights)
    {
        using var noGrad = no_grad();
        var own = Master.clone().DetachFromDisposeScope();
        Master.copy_(weights);
        Publish();
        return new Loan(this, own);
    }

    /// <summary>One value a weight, by its parameter's name and shape. float32 [N]</summary>
    public Tensor Mask(Func<string, long[], float> value)
    {
        using var scope = NewDisposeScope();
        return Join(_items.Select(item => TensorArithmetic.Full(item.Parameter.shape, value(item.Name, item.Parameter.shape), ScalarType.Float32, Master.device)))
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Master.Dispose();
        _gap.Dispose();
        _halves?.Dispose();
    }

    private static long Aligned(long count) => (count + Alignment - 1) / Alignment * Alignment;

    // Tensors of one type in a row, with zeros between them where the next would not be aligned.
    private Tensor Join(IEnumerable<Tensor> tensors)
    {
        var pieces = new List<Tensor>();
        foreach (var tensor in tensors)
        {
            pieces.Add(tensor.flatten());
            if (tensor.numel() % Alignment != 0)
            {
                pieces.Add(_gap.narrow(0, 0, Alignment - tensor.numel() % Alignment).to_type(tensor.dtype));
            }
        }

        return cat(pieces);
    }

    private sealed class Loan(FlatParameters owner, Tensor own) : IDisposable
    {
        public void Dispose()
        {
            using var noGrad = no_grad();
            owner.Master.copy_(own);
            owner.Publish();
            own.Dispose();
        }
    }
}
