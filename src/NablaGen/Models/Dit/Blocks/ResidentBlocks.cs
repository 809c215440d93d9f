using TorchSharp.Modules;

namespace NablaGen.Models.Dit;

/// <summary>All blocks in memory, as parts of the model that owns them.</summary>
internal sealed class ResidentBlocks(ModuleList<WanAttentionBlock> blocks) : IBlockSource
{
    public int Count => blocks.Count;

    public WanAttentionBlock Get(int layer) => blocks[layer];

    public void Dispose()
    {
    }
}
