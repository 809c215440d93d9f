using NablaGen.Models.Wan;

namespace NablaGen.Tests.Generation;

/// <summary>Model folders of each task, assembled once for all tests of a class.</summary>
public sealed class PictureModelFixture : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly Dictionary<string, WanVideoModel> _models = [];

    /// <summary>A model by its task: t2v, i2v, flf2v, ti2v or experts.</summary>
    public WanVideoModel this[string kind]
    {
        get
        {
            if (!_models.TryGetValue(kind, out var model))
            {
                var (transformer, vae, clip) = kind switch
                {
                    "t2v" => ("dit", "vae", null),
                    "ti2v" => ("family/ti2v", "family/vae22", null),
                    "experts" => ("family/experts-pipeline", "vae", null),
                    _ => ("family/" + kind, "family/image-vae", "family/clip"),
                };
                GoldenModelFolder.Assemble(_folder[kind], transformer, vae, clip);
                _models[kind] = model = WanVideoModel.Open(_folder[kind]);
            }

            return model;
        }
    }

    public void Dispose() => _folder.Dispose();
}
