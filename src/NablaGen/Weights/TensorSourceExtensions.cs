namespace NablaGen.Weights;

/// <summary>Views of a tensor source.</summary>
public static class TensorSourceExtensions
{
    /// <summary>The tensors whose keys begin with a prefix, under what follows it; the source stays the caller's.</summary>
    public static ITensorSource Under(this ITensorSource source, string prefix) => SourceView.Under(source, prefix);
}
