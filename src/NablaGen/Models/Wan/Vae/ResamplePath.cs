using TorchSharp.Utils;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>The checkpoint numbers the layers of its Sequential; 0 (up-sampling or padding) has no weights.</summary>
internal sealed class ResamplePath : Module
{
    [ComponentName(Name = "1")]
    private readonly VaeConv2d _conv;

    public ResamplePath(VaeConv2d conv)
        : base(nameof(ResamplePath))
    {
        _conv = conv;
        RegisterComponents();
    }

    public VaeConv2d Conv => _conv;
}
