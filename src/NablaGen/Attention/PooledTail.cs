namespace NablaGen.Attention;

/// <summary>
/// The formula of <c>+tail</c>. A query block i drops the key blocks j of a set; their logits by block means are
/// a_j = q̄_i · k̄_j / √D + log n_j, with n_j tokens in block j. Each query q of the block then sees one more key, the pooled term
/// k̃ = Σ w_j k̄_j with w = softmax(a), whose logit is (q − q̄_i) · k̃ / √D + log Σ e^(a_j) and whose value is ṽ = Σ w_j v̄_j.
/// </summary>
/// <remarks>
/// It is the attention to all dropped blocks' means one by one, expanded to first order about the block's mean query: exact where the
/// queries of a block agree, and 64 times cheaper. Where nothing is dropped there is no term, and no bit of the output changes.
/// </remarks>
public static class PooledTail
{
    /// <summary>Sees that an expression has no pooled term, for what cannot compute its gradient.</summary>
    /// <exception cref="InvalidRequestException">It has one.</exception>
    public static void Refuse(AttentionExpression expression)
    {
        if (expression.HasTail)
        {
            throw new InvalidRequestException(
                $"attention '{expression}': +tail has no gradient, since training teaches the weights to do without the dropped blocks: train without it");
        }
    }
}
