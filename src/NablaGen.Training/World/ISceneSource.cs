namespace NablaGen.Training.World;

/// <summary>Scenes and captions by number, without a picture: the same index gives the same on every machine.</summary>
public interface ISceneSource
{
    /// <summary>What a clip shows.</summary>
    /// <param name="index">The clip's number, at least 0.</param>
    Scene SceneAt(long index);

    /// <summary>A clip's caption.</summary>
    /// <param name="index">The clip's number, at least 0.</param>
    /// <param name="wording">Which wording, at least 0.</param>
    Caption DescribeAt(long index, int wording);
}
