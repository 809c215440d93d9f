using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>A table of rows, looked up by number.</summary>
public sealed class T5Embedding : Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <summary>A table [rows, dim] with unread weights.</summary>
    public T5Embedding(long rows, long dim, ModuleOptions options)
        : base(nameof(T5Embedding))
    {
        _weight = options.Parameter(rows, dim);
        RegisterComponents();
    }

    /// <summary>Whole numbers [...] → rows [..., dim].</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return _weight.index_select(0, input.flatten()).reshape([.. input.shape, _weight.shape[1]]).MoveToOuterDisposeScope();
    }
}
