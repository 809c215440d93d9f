using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>A model folder of drawn weights, to see that everything runs.</summary>
internal static class RandomModel
{
    /// <summary>Writes it.</summary>
    public static void Save(string folder, ModelSizes sizes)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(3);
        ModelFiles.PlaceTokenizer(folder, Toys.TokenizerPath);
        sizes.Save(folder);
        using var dit = new WanModel(sizes.Dit, ModuleOptions.Cpu);
        Initialization.Draw(dit, generator);
        // The trainer's first velocity is 0 everywhere; here it depends on what the blocks find.
        foreach (var (name, parameter) in dit.named_parameters().Where(pair => pair.name is "head.head.weight"))
        {
            parameter.copy_(randn(parameter.shape, generator: generator) * 0.1);
        }

        ModelFiles.SaveDit(folder, dit);
        using var encoder = new T5Encoder(sizes.Others.TextEncoder, ModuleOptions.Cpu);
        Initialization.Draw(encoder, generator);
        ModelFiles.SaveTextEncoder(folder, encoder);
        using var vae = new WanVae(sizes.Others.Vae, ModuleOptions.Cpu);
        Initialization.Draw(vae, generator);
        ModelFiles.SaveVae(folder, vae);
    }
}
